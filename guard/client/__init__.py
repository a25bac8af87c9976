"""A client of `flames-judge serve` for records: judged at once, or as runs.

    with FlamesClient("http://127.0.0.1:8000", api_key="fj-...") as client:
        run = client.submit("answers.jsonl")
        for progress in client.follow(run):
            print(progress.done, progress.rows)
        for entry in client.verdicts(run):
            print(entry.record_id, entry.label)

A run lives on the server: it goes on when the client ends, and is found again by its id.
"""

from __future__ import annotations

from guard.client.client import FlamesClient
from guard.client.connection import FlamesError

__all__ = ["FlamesClient", "FlamesError"]
