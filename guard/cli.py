"""The composition root of the `flames-judge` command: judge's commands and the guard's."""

from __future__ import annotations

from judge.cli.app import app, run


def main() -> None:
    """Entry point of the console script."""
    run(app)
