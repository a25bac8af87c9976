"""The shipped file: the heads by sound, the usual pairs, and the card beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from guard.homophones.unusual import BITS, Usual
from judge.embedded.heads import EvidenceHeads
from judge.embedded.shipped import pack_evidence, read_arrays, unpack_evidence
from judge.errors import JudgeUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

FILE, CARD = "homophones.npz", "card.json"
_USUAL = "usual"


@dataclass(frozen=True)
class Homophones:
    """Evidence heads for texts by their sounds, and what tells where to ask them."""

    heads: EvidenceHeads
    usual: Usual


def folder() -> Traversable:
    """Where the shipped files lie."""
    return resources.files("guard.homophones") / "weights"


@cache
def shipped_homophones() -> Homophones:
    """The weights that come with the package.

    Raises:
        JudgeUnavailable: they are missing, damaged or not the ones that the card describes.
    """
    return load(folder())


def load(place: Traversable) -> Homophones:
    """Load and check the file of a folder.

    Raises:
        JudgeUnavailable: see `shipped_homophones`.
    """
    try:
        card = json.loads((place / CARD).read_text(encoding="utf-8"))
        content = (place / FILE).read_bytes()
        _check(content, card)
        return unpack(read_arrays(content))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"the guard's weights for homophones can't be used: {error}"
        raise JudgeUnavailable(f"{problem} (install flames-judge again)") from None


def _check(content: bytes, card: Mapping[str, Any]) -> None:
    if hashlib.sha256(content).hexdigest() != card["weights_sha256"][FILE]:
        raise ValueError(f"{FILE} is not the file that the card describes")


def pack(homophones: Homophones) -> dict[str, NDArray[Any]]:
    """The arrays, as they are saved."""
    import numpy as np

    return pack_evidence(homophones.heads) | {
        _USUAL: np.frombuffer(homophones.usual.seen, dtype=np.uint8)
    }


def unpack(arrays: Mapping[str, NDArray[np.generic]]) -> Homophones:
    """The heads and pairs that the arrays hold.

    Raises:
        ValueError: a shape is wrong or a number isn't finite.
        KeyError: an array is missing.
    """
    import numpy as np

    packed = arrays[_USUAL]
    if packed.shape != (1 << (BITS - 3),) or packed.dtype != np.uint8:
        raise ValueError(f"the array {_USUAL} is not what it should be")
    return Homophones(unpack_evidence(arrays), Usual(packed.tobytes()))
