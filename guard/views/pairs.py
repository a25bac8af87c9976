"""Neighbouring characters: pairs that are in a set, or in none, and letters at every second place.

A set holds a bit for each hash of a pair, so that a few others are taken for members. Each is one
compiled pass, where the package could be compiled, and the same in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from judge.embedded import compiled
from judge.embedded.spans import Span

_MIX = (2654435761, 2246822519)  # odd 32-bit constants of Knuth and of xxHash
_CHINESE = range(0x3400, 0xA000)


def set_of(texts: Iterable[str], bits: int) -> bytes:
    """The set of all pairs in some texts.

    Args:
        texts: each of which may hold many pairs.
        bits: the set has 2 to this power; 3 or more.
    """
    members = bytearray(1 << (bits - 3))
    for text in texts:
        for place in _hashes(text, bits):
            members[place >> 3] |= 0x80 >> (place & 7)
    return bytes(members)


def chinese_pairs(text: str) -> Iterator[str]:
    """The pairs of which both are Chinese characters."""
    return (a + b for a, b in pairwise(text) if ord(a) in _CHINESE and ord(b) in _CHINESE)


def places(text: str, among: bytes) -> list[int]:
    """Where the pairs begin that are in a set, in order."""
    if compiled.grams is not None:
        return compiled.grams.places(text, among)
    hashes = enumerate(_hashes(text, _bits(among)))
    return [at for at, place in hashes if among[place >> 3] & (0x80 >> (place & 7))]


def strange(
    text: str, spans: list[Span], usual: bytes, least: int, shares: tuple[float, float]
) -> list[int]:
    """The numbers of the spans that hold too many Chinese pairs which are in no set of usual ones.

    Args:
        text: a folded text.
        spans: parts of it.
        usual: the set.
        least: so many or more.
        shares: of a window's Chinese pairs, and of a piece's, in [0, 1].
    """
    if compiled.grams is not None:
        return compiled.grams.strange(text, spans, usual, least, *shares)
    known = [
        _holds(usual, place) if ord(a) in _CHINESE and ord(b) in _CHINESE else None
        for (a, b), place in zip(pairwise(text), _hashes(text, _bits(usual)), strict=True)
    ]
    found: list[int] = []
    for number, (start, end, piece) in enumerate(spans):
        inside = known[start : max(end - 1, start)]
        new = inside.count(False)
        if new >= least and new >= shares[piece] * (len(inside) - inside.count(None)):
            found.append(number)
    return found


def alternating(text: str) -> list[int]:
    """Where a character stands that is there again two, four, six and eight places on, in order."""
    if compiled.grams is not None:
        return compiled.grams.alternating(text)
    here = range(len(text) - 8)
    return [at for at in here if text[at] == text[at + 2] and len(set(text[at : at + 9 : 2])) == 1]


def _hashes(text: str, bits: int) -> Iterator[int]:
    (first, second), shift = _MIX, 32 - bits
    codes = pairwise(map(ord, text))
    return (((a * first ^ b * second) & 0xFFFFFFFF) >> shift for a, b in codes)


def _bits(members: bytes) -> int:
    return len(members).bit_length() + 2


def _holds(members: bytes, place: int) -> bool:
    return bool(members[place >> 3] & (0x80 >> (place & 7)))
