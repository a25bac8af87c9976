"""Which dimension, and which part of it, a row is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from judge.errors import InputError
from judge.records import UnreadableRowError
from judge.rubric import Rubric, Rubrics, fold
from judge.strict_yaml import read_yaml

# Where a row may say what it is about in another set's terms; the finer one is looked up first.
CATEGORY_FIELDS = ("sub_category_name", "category_name", "category")
_MOST_NAMES = 4096  # different names whose look-up is remembered


class ShippedPrompt(NamedTuple):
    """One of the benchmark's released prompts."""

    prompt: str
    dimension: str
    subcomponent: str


def shipped_prompts() -> Iterator[ShippedPrompt]:
    """The benchmark's released prompts, in their file's order."""
    file = resources.files("judge") / "data" / "flames_prompts.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield ShippedPrompt(row["prompt"], row["dimension"], row["subcomponent"])


@cache
def _by_prompt() -> Mapping[str, ShippedPrompt]:
    return {shipped.prompt: shipped for shipped in shipped_prompts()}


def shipped_subcomponent(prompt: str, dimension: str) -> str | None:
    """What one of the benchmark's own prompts is about; None for any other, or dimension."""
    shipped = _by_prompt().get(prompt.strip())
    same = shipped is not None and shipped.dimension == dimension
    return shipped.subcomponent if shipped is not None and same else None


class Mends(NamedTuple):
    """What to do about a row whose dimension can't be told."""

    unknown: str
    missing: str


BY_FLAGS = Mends(
    "mend the name, or map it with --map", "add a `dimension` field, or give --dimension or --map"
)


class Dimensions:
    """Finds the dimension and the subcomponent of rows.

    Args:
        rubrics: the rubrics in use; their names and aliases are the ones that are known.
        default: the dimension of rows that name none and aren't the benchmark's own prompts.
        categories: dimension by folded category of another set, as `load_category_map` gives it.
        mends: what bad rows say, as the way that the rows came allows.

    Raises:
        InputError: `default` is no rubric's name.
    """

    def __init__(
        self,
        rubrics: Rubrics,
        default: str | None = None,
        categories: Mapping[str, str] | None = None,
        mends: Mends = BY_FLAGS,
    ) -> None:
        self._mends = mends
        self._rubrics = rubrics
        self._categories = categories
        self._default = None if default is None else _known(rubrics, default, "--dimension")
        self._find = lru_cache(_MOST_NAMES)(self._named)
        self._part = lru_cache(_MOST_NAMES)(_part)

    def of(self, row: Mapping[str, Any], prompt: str) -> Rubric | None:
        """The rubric of a row's dimension, or None where nothing says which.

        Raises:
            UnreadableRowError: the row names a dimension that no rubric has.
        """
        name = row.get("dimension")
        if name is None or name == "":
            return self._unnamed(row, prompt)
        rubric = self._find(name) if isinstance(name, str) else None
        if rubric is None:
            raise UnreadableRowError(
                f"`dimension` is none of {', '.join(self._rubrics)}", self._mends.unknown
            )
        return rubric

    def subcomponent(self, row: Mapping[str, Any], prompt: str, rubric: Rubric) -> str | None:
        """The rubric's own name of the row's subcomponent; a name that it doesn't know stays.

        Raises:
            UnreadableRowError: the row's subcomponent isn't text.
        """
        name = row.get("subcomponent")
        if name is None or name == "":
            return shipped_subcomponent(prompt, rubric.dimension)
        if not isinstance(name, str):
            raise UnreadableRowError("`subcomponent` is not text", "put its name in quotes")
        return self._part(rubric, name)

    def missing(self, row: Mapping[str, Any]) -> UnreadableRowError:
        """Why a row's dimension can't be told."""
        if self._categories is not None and any(row.get(field) for field in CATEGORY_FIELDS):
            return UnreadableRowError(
                "names no dimension, and the --map file doesn't have its category",
                "add the category to the file",
            )
        return UnreadableRowError(
            "names no dimension, and its prompt is not one of the benchmark's",
            self._mends.missing,
        )

    def _named(self, name: str) -> Rubric | None:
        return self._rubrics.find(name) or self._mapped(name)

    def _mapped(self, category: object) -> Rubric | None:
        if self._categories is None or not isinstance(category, str):
            return None
        dimension = self._categories.get(fold(category))
        return None if dimension is None else self._rubrics[dimension]

    def _unnamed(self, row: Mapping[str, Any], prompt: str) -> Rubric | None:
        shipped = _by_prompt().get(prompt.strip())
        rubric = None if shipped is None else self._find(shipped.dimension)
        if rubric is not None or self._default is not None:
            return rubric or self._default
        mapped = (self._mapped(row.get(field)) for field in CATEGORY_FIELDS)
        return next((rubric for rubric in mapped if rubric is not None), None)


def _part(rubric: Rubric, name: str) -> str:
    part = rubric.subcomponent(name)
    return name if part is None else part.name


def _known(rubrics: Rubrics, name: object, file: object, line: int | None = None) -> Rubric:
    rubric = rubrics.find(name) if isinstance(name, str) else None
    if rubric is None:
        problem = f"no dimension {name!r}" if isinstance(name, str) else "a dimension must be text"
        raise InputError(problem, file=file, line=line, mend=f"known: {', '.join(rubrics)}")
    return rubric


def load_category_map(file: Traversable, rubrics: Rubrics) -> dict[str, str]:
    """Read a YAML mapping from another set's categories to dimensions.

    Returns:
        The dimension by folded category.

    Raises:
        InputError: it can't be read, isn't such a mapping, or names an unknown dimension.
    """
    document = read_yaml(file)
    if not isinstance(document.content, dict) or not document.content:
        raise InputError("is not a mapping", file=file, mend="write lines of `category: Dimension`")
    found: dict[str, str] = {}
    for category, name in document.content.items():
        line = document.line([category])
        key, dimension = fold(str(category)), _known(rubrics, name, file, line).dimension
        if found.setdefault(key, dimension) != dimension:
            problem = f"the category {category!r} stands twice, with two dimensions"
            raise InputError(problem, file=file, line=line, mend="keep one")
    return found
