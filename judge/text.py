"""Hostile text made safe to show, to send and to search: pure functions over strings.

A text under judgement may hide orders in invisible characters, or write a quote in full-width
letters. `visible` shows what hides; `find_quote` finds a quote in spite of such differences.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Everything that has no glyph of its own or moves others about: C0/C1 controls (not tab and
# newline), format characters, surrogates, private use, tag characters. Zero-width joiners between
# emoji stay: there they are part of a glyph.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufeff"
    r"\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
    r"|(?<=\w)\u200d|\u200d(?=\w)"
)
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_ESCAPE = re.compile(r"⟦U\+[0-9A-F]{4,6}⟧")
_QUOTE_MARKS = frozenset("\"'`“”‘’「」『』«»＂＇")


def visible(text: str) -> str:
    """The text with each hidden or control character written out as ⟦U+XXXX⟧."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(lambda match: f"⟦U+{ord(match[0]):04X}⟧", text)


def fingerprint(*parts: str) -> str:
    """sha256 over the parts, hex; no two lists of parts collide by where one ends."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def key64(*parts: str) -> int:
    """A 64-bit key for sets of many rows: a million rows collide with probability 3e-8."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return int.from_bytes(digest.digest(), "big")


def _folded(text: str) -> tuple[str, list[int]]:
    """Text for comparison and, for each of its characters, the offset into the original."""
    folded: list[str] = []
    origin: list[int] = []
    for offset, char in enumerate(text):
        for plain in unicodedata.normalize("NFKC", char).casefold():
            if not (plain.isspace() or plain in _QUOTE_MARKS or _HIDDEN.match(plain)):
                folded.append(plain)
                origin.append(offset)
    return "".join(folded), origin


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Where `quote` stands in `text`, as (start, end) offsets into the original, or None.

    Compared after NFKC, case folding, and without white space, quotation marks and hidden
    characters (also those that `visible` wrote out), since models rewrite those when they quote.
    """
    exact = text.find(quote)
    if quote and exact >= 0:
        return exact, exact + len(quote)
    wanted, _ = _folded(_ESCAPE.sub("", quote))
    if not wanted:
        return None
    haystack, origin = _folded(text)
    start = haystack.find(wanted)
    if start < 0:
        return None
    return origin[start], origin[start + len(wanted) - 1] + 1


def chinese_share(text: str) -> float:
    """Share of Chinese characters among the letters of `text`, in [0, 1]; 0 without letters."""
    rest = _CHINESE.sub("", text)
    chinese = len(text) - len(rest)
    letters = chinese + sum(map(str.isalpha, rest))
    return chinese / letters if letters else 0.0
