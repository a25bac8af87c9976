"""A policy that can't be kept, and where in its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from judge.errors import InputError
from judge.misfits import Place
from judge.strict_yaml import read_yaml


class PolicyFault(InputError):
    """A policy that can't be kept; `place` are the keys and indices of what is at fault."""

    def __init__(self, problem: str, *, place: Place = (), mend: str = "") -> None:
        self.place = place
        super().__init__(problem, file="policy", mend=mend)


@contextmanager
def naming_file(file: Path | None) -> Iterator[None]:
    """Faults of a policy that was read from a file get its name and their line.

    Raises:
        InputError: in place of such a fault.
    """
    try:
        yield
    except PolicyFault as fault:
        if file is None:
            raise
        line = read_yaml(file).line(fault.place)
        raise InputError(fault.problem, file=file, line=line, mend=fault.mend) from None
