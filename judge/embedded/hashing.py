"""Character 1-2-grams of many texts at once, hashed into buckets, as one sorted array.

No vocabulary is kept, so that no list of slurs is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS = 16
BUCKETS = 1 << BITS
_MIX = (2654435761, 2246822519, 3266489917)  # odd 32-bit constants of Knuth and of xxHash
_SHIFT = (15, 13)
_ZERO = ord("0")


class Grams(NamedTuple):
    """The distinct buckets of each text: `row` and `bucket` in order, both shape (pairs,)."""

    row: NDArray[np.int64]
    bucket: NDArray[np.int64]


def grams(texts: Sequence[str]) -> Grams:
    """Hash the 1- and 2-grams of folded texts, with their two ends marked.

    Letters are lowered, digits are one digit, white space is one space.
    """
    import numpy as np

    marked = [f"^{text.lower()}$" for text in texts]
    single, double = hashes("".join(marked))
    sizes = np.fromiter(map(len, marked), dtype=np.int64, count=len(marked))
    rows = np.repeat(np.arange(len(marked), dtype=np.int64), sizes)
    inside = rows[:-1] == rows[1:]
    buckets = np.concatenate([single, double[inside]])
    key = np.concatenate([rows, rows[:-1][inside]]) << BITS | (buckets >> np.uint32(32 - BITS))
    key.sort()  # faster than numpy's own `unique`
    first = np.ones(len(key), dtype=bool)
    first[1:] = key[1:] != key[:-1]
    key = key[first]
    return Grams(key >> BITS, key & (BUCKETS - 1))


def hashes(lowered: str) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """32-bit hashes of a lowered text's n characters, shape (n,), and of its pairs, (n - 1,)."""
    import numpy as np

    mix, shift = _constants()
    codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), dtype="<u4").copy()
    codes[(codes - _ZERO) < 10] = _ZERO
    if "\n" in lowered:
        codes[codes == ord("\n")] = ord(" ")
    single = codes * mix[0]
    single ^= single >> shift[0]
    double = single[:-1] * mix[1]
    codes *= mix[2]
    double += codes[1:]
    double ^= double >> shift[1]
    double *= mix[0]
    single *= mix[2]
    return single, double


@cache
def _constants() -> tuple[tuple[np.uint32, ...], tuple[np.uint32, ...]]:
    """The factors and the shifts, of the arrays' own type: made once, since that takes longer."""
    import numpy as np

    return tuple(map(np.uint32, _MIX)), tuple(map(np.uint32, _SHIFT))
