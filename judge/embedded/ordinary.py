"""Ordinary texts that the evidence heads must not take for harm: made from lists of our own.

What the heads are trained on are comments, advertisements and refusals. A bank's answer or a table
looks like none of the harmless ones among them, and much like an advertisement.
"""

from __future__ import annotations

import hashlib
import random
import re
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

NAME: Final = "ordinary.yaml"
PER_TOPIC: Final = 60
MOST_LINES, MOST_SENTENCES = 16, 4
_HEX = "0123456789abcdef"
_SLOT = re.compile("<([a-z0-9]+)>")
_SPACE = re.compile(r"(?<=[^ -~]) (?=[0-9A-Z])|(?<=[0-9A-Za-z%]) (?=[^ -~])")  # about figures


def ordinary_texts(seed: int = 0) -> dict[str, list[str]]:
    """`PER_TOPIC` texts by topic; the same for the same seed."""
    recipe = yaml.safe_load(_file().read_text(encoding="utf-8"))
    rng = random.Random(seed)  # noqa: S311 - data made reproducibly, no secret
    return {
        name: [_text(topic, recipe["words"], rng) for _ in range(PER_TOPIC)]
        for name, topic in recipe["topics"].items()
    }


def about_recipe() -> dict[str, str]:
    """What a model card says of these texts."""
    return {
        "sha256": hashlib.sha256(_file().read_bytes()).hexdigest(),
        "source": "written for this package",
        "licence": "Apache-2.0",
        "use": "benign texts for the evidence heads",
    }


def _file() -> Traversable:
    return files("judge.embedded") / NAME


def _text(topic: Mapping[str, Any], words: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    if "say" in topic:
        lines = rng.sample(topic["say"], rng.randint(1, MOST_SENTENCES))
        joint = rng.choice(("", "\n"))
    else:
        lines = [rng.choice(topic["head"])] * rng.choice((0, 1, 1, 1))
        lines += [rng.choice(topic["line"])] * rng.randint(1, MOST_LINES)
        joint = "\n"
    text = joint.join(_filled(line, words, rng) for line in lines)
    return _SPACE.sub("", text) if rng.choice((True, False)) else text


def _filled(text: str, words: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    def one(slot: re.Match[str]) -> str:
        return rng.choice(words[slot[1]]) if slot[1] in words else _NUMBERS[slot[1]](rng)

    return _SLOT.sub(one, text)


def _amount(least: float, most: float, form: str) -> Callable[[random.Random], str]:
    """Amounts as often small as large, from 10**least to 10**most."""
    return lambda rng: format(10 ** rng.uniform(least, most), form)


def _whole(least: int, most: int, form: str = "d") -> Callable[[random.Random], str]:
    return lambda rng: format(rng.randint(least, most), form)


def _one_of(*found: int) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.choice(found))


def _balls(rng: random.Random) -> str:
    drawn = sorted(rng.sample(range(1, 34), rng.choice((3, 5, 6, 7))))
    return rng.choice((" ", ",", "、")).join(f"{ball:02d}" for ball in drawn)


def _letters(alphabet: str, least: int, most: int) -> Callable[[random.Random], str]:
    """Names that machines give: so many characters by chance."""
    return lambda rng: "".join(rng.choices(alphabet, k=rng.randint(least, most)))


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _mac(rng: random.Random) -> str:
    mark, size = rng.choice(((":", 2), ("-", 2), (".", 4)))
    digits = f"{rng.getrandbits(48):012x}"
    digits = rng.choice((digits, digits.upper()))
    return mark.join(digits[at : at + size] for at in range(0, 12, size))


def _hotline(rng: random.Random) -> str:
    area = rng.choice(("400", "800", "010", "021", "0571", "0755"))
    return f"{area}-{rng.randint(200, 899)}{rng.choice(('', '-'))}{rng.randint(1000, 9999)}"


def _plain(rng: random.Random) -> str:
    return _amount(1.5, 6, rng.choice((".0f", ".2f")))(rng)


_NUMBERS: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "money": _amount(3, 9, ",.2f"),
    "plain": _plain,
    "small": _amount(0, 3, ".2f"),
    "percent": lambda rng: f"{rng.uniform(0, 60):.{rng.choice((0, 1, 2))}f}%",
    "rate": lambda rng: f"{rng.uniform(0.3, 6):.2f}%",
    "n": _whole(1, 120),
    "digit": _whole(1, 9),
    "two": _whole(1, 33, "02d"),
    "four": _whole(1000, 9999),
    "long": _whole(10**12, 10**15),
    "tens": _one_of(*range(10, 100, 10)),
    "years": _one_of(1, 3, 5, 10, 15, 20, 30),
    "terms": _one_of(3, 6, 12, 24, 36, 60),
    "year": _whole(1990, 2026),
    "issue": lambda rng: f"{rng.randint(2015, 2026)}{rng.randint(1, 150):03d}",
    "code": lambda rng: f"{rng.choice((0, 2, 300, 600)):03d}{rng.randint(0, 999):03d}",
    "clock": lambda rng: f"{rng.randint(0, 23)}:{rng.choice((0, 15, 30, 45)):02d}",
    "day": lambda rng: (
        f"{rng.randint(2020, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    ),
    "balls": _balls,
    "hotline": _hotline,
    "sha": _letters(_HEX, 40, 40),
    "md5": _letters(_HEX, 32, 32),
    "serial": _letters(string.ascii_uppercase + string.digits, 5, 14),
    "vin": _letters("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 17, 17),
    "mac": _mac,
    "uuid": _uuid,
    "octets": lambda rng: ".".join(str(rng.randint(0, 255)) for _ in range(4)),
    "unit": lambda rng: rng.choice(("元", "万元", "千元")),
}
