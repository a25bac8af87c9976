"""The command as in the other command tests."""

from __future__ import annotations

from tests.cli.conftest import flames

__all__ = ["flames"]
