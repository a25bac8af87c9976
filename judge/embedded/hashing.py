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
    raw = "".join(marked).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(raw, dtype="<u4").astype(np.uint32)
    codes[(codes >= ord("0")) & (codes <= ord("9"))] = ord("0")
    codes[codes == ord("\n")] = ord(" ")
    sizes = np.fromiter(map(len, marked), dtype=np.int64, count=len(marked))
    rows = np.repeat(np.arange(len(marked), dtype=np.int64), sizes)
    inside = rows[:-1] == rows[1:]
    single = codes * np.uint32(_MIX[0])
    single ^= single >> np.uint32(15)
    double = single[:-1] * np.uint32(_MIX[1]) + codes[1:] * np.uint32(_MIX[2])
    double ^= double >> np.uint32(13)
    buckets = np.concatenate([single * np.uint32(_MIX[2]), double[inside] * np.uint32(_MIX[0])])
    key = np.concatenate([rows, rows[:-1][inside]]) << BITS | (buckets >> np.uint32(32 - BITS))
    key = np.unique(key)
    return Grams(key >> BITS, key & (BUCKETS - 1))
