"""`Guard`, which every edge goes through, and what it asks: scanner and judge."""

from __future__ import annotations

from guard.engine.guard import Around, Asked, Facts, Guard, People, Records, Scanner

__all__ = ["Around", "Asked", "Facts", "Guard", "People", "Records", "Scanner"]
