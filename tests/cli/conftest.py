"""Running the command in this process, as a shell would."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from guard.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left: exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Flames = Callable[..., Ran]
_built = cache(typer.main.get_command)  # 0.15 s, for each command that is run


@pytest.fixture
def flames(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Flames:
    """Run `flames-judge` with these arguments; `stdin` is what it reads."""

    monkeypatch.setattr(typer.main, "get_command", _built)

    def run(*args: object, stdin: bytes | None = None) -> Ran:
        monkeypatch.setattr(sys, "argv", ["flames-judge", *map(str, args)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfd.readouterr()
        try:
            main()
        except SystemExit as done:
            status = done.code if isinstance(done.code, int) else int(bool(done.code))
        else:
            status = 0
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(status, captured.out, captured.err)

    return run


def write_rows(file: Path, *rows: dict[str, Any]) -> Path:
    """A JSONL file of these rows."""
    file.write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8"
    )
    return file


def rows_of(file: Path) -> list[dict[str, Any]]:
    """A JSONL file's rows."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
