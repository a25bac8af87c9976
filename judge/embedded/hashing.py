"""Character 1-2-grams of many texts at once, hashed into buckets, as one sorted array.

No vocabulary is kept, so that no list of slurs is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS = 16
BUCKETS = 1 << BITS
_MIX = (2654435761, 2246822519, 3266489917)  # odd 32-bit constants of Knuth and of xxHash


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
    key = np.unique(key)
    return Grams(key >> BITS, key & (BUCKETS - 1))


def hashes(lowered: str) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """32-bit hashes of a lowered text's n characters, shape (n,), and of its pairs, (n - 1,)."""
    import numpy as np

    raw = lowered.encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(raw, dtype="<u4").astype(np.uint32)
    codes[(codes - np.uint32(ord("0"))) < 10] = ord("0")
    if "\n" in lowered:
        codes[codes == ord("\n")] = ord(" ")
    single = codes * np.uint32(_MIX[0])
    single ^= single >> np.uint32(15)
    double = single[:-1] * np.uint32(_MIX[1])
    codes *= np.uint32(_MIX[2])
    double += codes[1:]
    double ^= double >> np.uint32(13)
    double *= np.uint32(_MIX[0])
    single *= np.uint32(_MIX[2])
    return single, double
