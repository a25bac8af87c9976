"""Bodies in which every string is a mark that occurs once, made along the tables or not."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

from guard.openai_api.media import Media, Stored
from guard.openai_api.shapes import (
    Either,
    Flag,
    Identifier,
    Json,
    ListOf,
    Name,
    Number,
    Numbers,
    Obj,
    OneOf,
    Tagged,
    Text,
    Withheld,
)

MARK = re.compile(r"标\d+记")
SCALARS = (0, 1, -3, 2.5, True, False, None)


class Marker:
    """Makes random JSON; `wild` is the share of values that don't follow the table."""

    def __init__(self, seed: random.Random, wild: float = 0.15) -> None:
        self.random, self.wild, self.count = seed, wild, 0

    def mark(self) -> str:
        self.count += 1
        return f"标{self.count}记"

    def anything(self, depth: int = 3) -> Any:
        pick = self.random.random()
        if depth == 0 or pick < 0.5:
            return self.mark() if pick < 0.4 else self.random.choice(SCALARS)
        if pick < 0.75:
            return [self.anything(depth - 1) for _ in range(self.random.randint(0, 3))]
        keys = [self.mark() if self.random.random() < 0.5 else self.known() for _ in range(3)]
        return {key: self.anything(depth - 1) for key in keys}

    def known(self) -> str:
        return self.random.choice(
            ["type", "text", "content", "url", "name", "arguments", "role", "index", "id", "delta"]
        )

    def following(self, rule: Any) -> Any:
        """A value that the rule describes, with marks for strings; sometimes something else."""
        if self.random.random() < self.wild:
            return self.anything()
        match rule:
            case Obj(keys):
                return self.object(keys)
            case Tagged(tables):
                tag = self.random.choice(sorted(tables))
                return {**self.object(tables[tag].keys), "type": tag}
            case ListOf(inner):
                return [self.following(inner) for _ in range(self.random.randint(0, 3))]
            case Either(string, array, object_):
                rules = [one for one in (string, array, object_) if one is not None]
                return self.following(self.random.choice(rules))
            case Number():
                return self.random.choice([0, 1, 2, 0.5])
            case Flag():
                return self.random.random() < 0.5
            case Numbers():
                inner = {"d": self.anything(), "n": self.anything()}
                return {"n": 1, self.mark(): 2, "text": self.mark(), "b": inner, "video": inner}
            case Json() | Withheld():
                return self.anything()
            case Text() | Name() | Media() | Stored() | Identifier() | OneOf():
                return self.mark()
        raise AssertionError(rule)

    def object(self, keys: Any) -> dict[str, Any]:
        chosen = self.random.sample(sorted(keys), min(len(keys), self.random.randint(0, 12)))
        built = {key: self.following(keys[key]) for key in chosen}
        if self.random.random() < 0.5:
            built[self.random.choice([self.mark(), "unheard_of"])] = self.anything()
        return built


def strings(value: Any) -> Iterator[str]:
    """Every string of a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def marks(value: Any) -> set[str]:
    """The marks anywhere in a value."""
    return {mark for text in strings(value) for mark in MARK.findall(text)}
