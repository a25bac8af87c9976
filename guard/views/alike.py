"""Characters that stand for others: traditional forms, and letters that only look alike.

The tables are OpenCC's (traditional to simplified, character by character, so that offsets stay)
and Unicode's confusables.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

# 々〆〇, and the unified ideographs: extension A, the basic block, the supplementary planes.
_HAN = (
    range(0x3005, 0x3008),
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0x20000, 0x2EBE1),
)


@cache
def tables() -> tuple[tuple[str, Mapping[int, str]], ...]:
    """What each kind of character stands for, by code; making it takes some tenths of a second."""
    return (("traditional", _traditional()), ("homoglyphs", _homoglyphs() | _digits() | _small()))


def _traditional() -> dict[int, str]:
    from opencc import OpenCC

    chars = "".join(chr(code) for block in _HAN for code in block)
    # One a line: OpenCC would take neighbours for phrases.
    lines = "\n".join(chars)
    simple = OpenCC("t2s").convert(lines).split("\n")
    of_japan = OpenCC("t2s").convert(OpenCC("jp2t").convert(lines)).split("\n")
    rows = zip(chars, simple, of_japan, strict=True)
    found = {ord(c): to if c != to or _is_everyday(c) else jp for c, to, jp in rows}
    return {code: to for code, to in found.items() if len(to) == 1 and to != chr(code)}


def _is_everyday(char: str) -> bool:
    """Whether it is a character that China writes, too."""
    try:
        return bool(char.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _homoglyphs() -> dict[int, str]:
    from confusable_homoglyphs import confusables

    alike: dict[str, list[dict[str, str]]] = confusables.confusables_data
    seen = ((char, _looks_like(char, [one["c"] for one in alike[char]])) for char in alike)
    return {ord(char): to for char, to in seen if to}


def _digits() -> dict[int, str]:
    """The digits of other scripts, and those in circles, which folding leaves as they are."""
    codes = range(0x80, 0x20000)
    chars = (chr(code) for code in codes if chr(code).isdigit())
    digits = ((char, unicodedata.digit(char)) for char in chars)
    return {
        ord(char): str(value)
        for char, value in digits
        if unicodedata.normalize("NFKC", char) == char
    }


def _small() -> dict[int, str]:
    """Small capitals, and those radicals of simplified characters that folding leaves."""
    small = zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)
    radicals = zip(
        "⺌⺝⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻤⻥⻦⻧⻨⻩⻬⻮⻰",
        "小月母民虎西见角贝车长门青韦页风飞食马鬼鱼鸟卤麦黄齐齿龙",
        strict=True,
    )
    return {ord(char): to for char, to in (*small, *radicals)}


def _looks_like(char: str, others: Iterable[str]) -> str | None:
    """What a reader of Chinese sees in a letter of another script; nothing for other characters."""
    if len(char) != 1 or char.isascii() or _is_han(char) or not char.isalnum():
        return None
    seen = [c for c in others if len(c) == 1 and (_is_han(c) or (c.isascii() and c.isalnum()))]
    if not seen or unicodedata.normalize("NFKC", char) != char:
        return None  # folding changes it already
    kind = unicodedata.category(char)
    return min(seen, key=lambda c: (_is_han(c), unicodedata.category(c) != kind, c))


def _is_han(char: str) -> bool:
    return any(ord(char) in block for block in _HAN)
