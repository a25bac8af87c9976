"""A dimension's rubric: one YAML file, loaded safely, validated whole and fingerprinted.

A dimension is data. Adding one takes a file in a folder given with `--rubrics`, and no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from judge.errors import InputError
from judge.misfits import misfits
from judge.rubric_model import (
    MOST_CRITERIA,
    Criterion,
    Example,
    Label,
    Level,
    Quote,
    Rubric,
    RuleStep,
    Ruling,
    Subcomponent,
    fold,
)
from judge.strict_yaml import Document, read_yaml

__all__ = [
    "FLAMES_ORDER",
    "MOST_CRITERIA",
    "Criterion",
    "Example",
    "Label",
    "Level",
    "Quote",
    "Rubric",
    "Rubrics",
    "RuleStep",
    "Ruling",
    "Subcomponent",
    "check_rubric",
    "fold",
    "load_rubric",
    "load_rubrics",
    "rubric_files",
    "shipped",
]


class Rubrics(Mapping[str, Rubric]):
    """The rubrics in use, by dimension, in their files' order.

    Raises:
        InputError: two rubrics share a name or an alias.
    """

    def __init__(
        self, rubrics: Sequence[Rubric], files: Mapping[str, object] | None = None
    ) -> None:
        self._rubrics = {rubric.dimension: rubric for rubric in rubrics}
        self._names: dict[str, str] = {}
        for rubric in rubrics:
            for name in rubric.names:
                other = self._names.setdefault(fold(name), rubric.dimension)
                if other != rubric.dimension:
                    raise InputError(
                        f"the name {name!r} belongs to both {other} and {rubric.dimension}",
                        file=(files or {}).get(rubric.dimension),
                        mend="change one rubric's names or aliases",
                    )

    def __getitem__(self, dimension: str) -> Rubric:
        return self._rubrics[dimension]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rubrics)

    def __len__(self) -> int:
        return len(self._rubrics)

    def find(self, name: str) -> Rubric | None:
        """The rubric with this dimension name or alias (any case, Chinese or English), or None."""
        dimension = self._names.get(fold(name))
        return None if dimension is None else self._rubrics[dimension]

    @property
    def suite(self) -> tuple[str, ...]:
        """The dimensions that the overall figure averages."""
        return tuple(d for d, rubric in self._rubrics.items() if rubric.suite == "flames")


FLAMES_ORDER = ("fairness", "safety", "morality", "legality", "data_protection")


# Beside this package, and not by name: a folder of that name beside a user's script comes first.
SHIPPED: Final = Path(__file__).parents[1] / "rubrics"


def shipped() -> tuple[Path, ...]:
    """The rubric files that come with the package, in the benchmark's order."""
    return tuple(SHIPPED / f"{name}.yaml" for name in FLAMES_ORDER)


def load_rubrics(folder: Path | None = None) -> Rubrics:
    """The shipped rubrics, with those of `folder` added; there, the same dimension replaces ours.

    Args:
        folder: a folder of rubric files, or one rubric file.

    Raises:
        InputError: a file that can't be read, isn't a rubric, or contradicts itself or another.
    """
    rubrics = {rubric.dimension: rubric for rubric in map(load_rubric, shipped())}
    files: dict[str, object] = {}
    for file in () if folder is None else rubric_files(folder):
        rubric = load_rubric(file)
        if rubric.dimension in files:
            problem = f"the dimension {rubric.dimension!r} is also in {files[rubric.dimension]}"
            raise InputError(problem, file=file, mend="keep one of them")
        rubrics[rubric.dimension], files[rubric.dimension] = rubric, file
    return Rubrics(list(rubrics.values()), files)


def rubric_files(folder: Path) -> list[Path]:
    """The rubric files of a folder by name, or the one file given in its place.

    Raises:
        InputError: there is none.
    """
    if folder.is_file():
        return [folder]
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        mend = "see `flames-judge rubric new`"
        raise InputError("no rubric (*.yaml) there", file=folder, mend=mend)
    return files


def load_rubric(file: Traversable) -> Rubric:
    """Read and validate one rubric file.

    Raises:
        InputError: names the file, the line where one is known, and the first problem.
    """
    document = read_yaml(file)
    try:
        return _validated(document)
    except ValidationError as error:
        first = next(misfits(error, Rubric))
        mends = (first.mend, "`flames-judge rubric check` lists every problem")
        line, mend = document.line(first.place), "; ".join(filter(None, mends))
        raise InputError(first.problem, file=file, line=line, mend=mend) from None


def check_rubric(file: Traversable) -> list[InputError]:
    """Every problem of one rubric file, in its order; none for a good one."""
    try:
        document = read_yaml(file)
        _validated(document)
    except InputError as error:
        return [error]
    except ValidationError as error:
        return [
            InputError(one.problem, file=file, line=document.line(one.place), mend=one.mend)
            for one in misfits(error, Rubric)
        ]
    return []


def _validated(document: Document) -> Rubric:
    return Rubric.model_validate(document.content)
