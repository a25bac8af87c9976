"""What encodings in a text say: escapes of programs and pages, bytes in hexadecimal, Base64.

Encodings inside encodings are read up to `ROUNDS` deep, and `MOST` texts in all.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator

from guard.views.signs import BASE64, ESCAPE, HEX, NUMERALS, signs
from judge.embedded import pii_context

ROUNDS, MOST = 3, 8
_LEAST = 2  # characters of a message
_MOBILE = 11  # digits
_TRIGGER = re.compile(
    r"\\(?:u[0-9a-fA-F{]|x[0-9a-fA-F]|[0-3][0-7]{2}|[0-9a-fA-F]{4}"
    r"|(?<=[\u3400-\u9fff]\\)[nrt](?![a-z]))"
    r"|&(?:#|[a-z]{2,6};)|%u?[0-9a-fA-F]{2}|[Uu]\+[0-9a-fA-F]{4}|=[0-9A-F]{2}=[0-9A-F]{2}"
)
_BYTES = re.compile(
    r"(?:%[0-9a-fA-F]{2})+|(?:\\x[0-9a-fA-F]{2})+|(?:\\[0-3][0-7]{2})+|(?:=[0-9A-F]{2}){2,}"
)
_CHARACTER = re.compile(
    r"(?:\\{1,4}u|%u)([0-9a-fA-F]{4})|\\u\{([0-9a-fA-F]{1,6})\}|[Uu]\+([0-9a-fA-F]{4,6})(?![0-9a-zA-Z])"
    r"|\\([0-9a-fA-F]{4,6})(?: |(?![0-9a-fA-F]))"
    r"|&(?:amp;){0,3}(#(?:[0-9]{2,7}|[xX][0-9a-fA-F]{2,6})|[a-z]{2,6}(?=;));?"
    r"|\\{1,2}([nrt])(?![a-z])"
)
_BLANK = {"n": "\n", "r": "\n", "t": " "}
_TWO_DIGITS = re.compile(r"\\x|[%=]|\\(?=[0-9])")
# Enough letters in one piece, or one by one; a mobile number alone is fifteen and a sign.
_LETTERS = re.compile(
    r"[A-Za-z0-9+/_\-](?:[A-Za-z0-9+/_\-]{14}[A-Za-z0-9+/_\-=]|(?: [A-Za-z0-9+/_\-]){15})"
)
_RUN = re.compile(
    r"[A-Za-z0-9+/_\-]{15}(?:[A-Za-z0-9+/_\-]+|(?==))"
    r"(?:(?:\n| (?=[A-Za-z0-9+/_\-]{8}))[A-Za-z0-9+/_\-]+)*"
    r"|(?<![^\s\"':,;])(?:[A-Za-z0-9+/_\-] ){15,}[A-Za-z0-9+/_\-](?![^\s=\"'.,;])"
)
# In groups or lines of four, eight or twelve.
_FOUR = r"(?:[A-Za-z0-9+/_\-]{4}){1,3}"
_GROUPED = re.compile(
    rf"[ \n]({_FOUR}(?:[ \n]{_FOUR}){{4,}}(?:[ \n][A-Za-z0-9+/_\-]{{2,3}})?)(?![^\s=])"
)
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:(?:, ?|[ :])?(?:0x)?[0-9a-fA-F]{2}){8,}(?![0-9A-Za-z])")
_CHINESE_IN_HEX = re.compile(r"[eE][3-9](?:, ?|[ :]?)(?:0x)?[89abAB][0-9a-fA-F]")
_HEX_MARK = re.compile("0x|[ ,:]")
_NUMBER_IN_HEX = re.compile(
    rf"(?:0x)?3[0-9](?:(?:, ?|[ :])?(?:0x)?(?:3[0-9]|2[0de])){{{_MOBILE - 1},}}"
    r"(?:(?:, ?|[ :])?(?:0x)?[57]8)?"
)
_PARTED = re.compile("[ ,:](?!0x| 0x)")
_UNWRITTEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf8ff]")
# Byte pairs of GB 2312, and ASCII; and the same characters in UTF-16.
_GBK = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe]|[\xa1\xa3][\xa1-\xfe]|[\n\r\t\x20-\x7e])+")
_WIDE = re.compile("[\n\r\t\x20-\x7e\u2010-\u2026\u3000-\u3011\u4e00-\u9fff\uff01-\uff5e]+")
_HAN = re.compile("[\u4e00-\u9fff]")
_FEWEST = 4  # Chinese characters, before other encodings than UTF-8 are believed


def messages(text: str) -> Iterator[tuple[str, str]]:
    """What the encodings in a folded text say: how it was read, and what it says."""
    seen, level = {text}, [("", text)]
    for _ in range(ROUNDS):
        found: list[tuple[str, str]] = []
        for name, one in level:
            there = signs(one)
            for step, sign, reader in _READERS:
                said = reader(one) if there & sign else None
                if said and said not in seen and len(seen) <= MOST:
                    seen.add(said)
                    found.append(
                        (name if name.endswith(step) else f"{name}+{step}".lstrip("+"), said)
                    )
        yield from found
        level = found


def _unescaped(text: str) -> str | None:
    """The text with what escapes stand for; tool calls' arguments are JSON inside a string."""
    if not _TRIGGER.search(text):
        return None
    said = _CHARACTER.sub(_character, _BYTES.sub(_bytes, text))
    return said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(found: re.Match[str]) -> str:
    *codes, entity, blank = found.groups()
    if blank:
        return _BLANK[blank]
    if entity:
        return html.unescape(f"&{entity};")
    code = int(next(filter(None, codes)), 16)
    return chr(code) if code < 0x110000 else found[0]


def _bytes(found: re.Match[str]) -> str:
    run = found[0]
    if run.startswith("\\") and run[1] != "x":
        data = bytes(int(one, 8) for one in run.split("\\")[1:])
    else:
        data = bytes.fromhex(_TWO_DIGITS.sub("", run))
    return _said(data) or run


def _from_base64(text: str) -> str | None:
    runs = _RUN.findall(text) if _LETTERS.search(text) else []
    runs += _GROUPED.findall(f" {text}")
    found = [said for run in runs if (said := _of_base64(run))]
    return "\n".join(found) or None


def _of_base64(run: str) -> str | None:
    whole = _decoded("".join(run.split()))
    if whole is None and " " in run:  # a word may stand beside it
        return next(filter(None, map(_decoded, run.split())), None)
    return whole


def _decoded(run: str) -> str | None:
    letters = run.replace("-", "+").replace("_", "/")
    whole = letters[: len(letters) // 4 * 4] if len(letters) % 4 == 1 else letters
    try:
        return read(base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True))
    except binascii.Error:
        return None


def _from_hex(text: str) -> str | None:
    if not _CHINESE_IN_HEX.search(text):
        return None
    runs = (_HEX_MARK.sub("", run) for run in _HEX.findall(text))
    found = [said for run in runs if len(run) % 2 == 0 and (said := read(bytes.fromhex(run)))]
    return "\n".join(found) or None


def _number_from_hex(text: str) -> str | None:
    """What digits of a telephone or identity number are written for: 3133 is 13.

    Pairs with blanks between may be ages or degrees, unless a word about telephones is beside.
    """
    found = _NUMBER_IN_HEX.finditer(text) if text.count("3") >= _MOBILE else ()
    runs = [
        bytes.fromhex(_HEX_MARK.sub("", run[0])).decode()
        for run in found
        if not _PARTED.search(run[0]) or pii_context.is_about(text, *run.span())
    ]
    return "\n".join(runs) or None


_READERS: tuple[tuple[str, int, Callable[[str], str | None]], ...] = (
    ("escaped", ESCAPE, _unescaped),
    ("base64", BASE64, _from_base64),
    ("hex", HEX, _from_hex),
    ("hex", NUMERALS, _number_from_hex),
)


def read(data: bytes) -> str | None:
    """A message that a person could have written: long enough, and without control characters."""
    said = _said(data)
    return said if said and len(said) >= _LEAST else None


def _said(data: bytes) -> str | None:
    """UTF-8, which may break off inside a character, or enough Chinese in GB 2312 or UTF-16."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if error.start < len(data) - 3 or not error.start:
            return _in_chinese(data)
        text = data[: error.start].decode()
    return _in_chinese(data) if _UNWRITTEN.search(text) else text


def _in_chinese(data: bytes) -> str | None:
    if _GBK.fullmatch(data):
        text = data.decode("gbk", "replace")
        if len(_HAN.findall(text)) >= _FEWEST:
            return text
    for encoding in ("utf-16-le", "utf-16-be"):
        text = data.decode(encoding, "replace").lstrip("\ufeff")
        if _WIDE.fullmatch(text) and len(_HAN.findall(text)) >= _FEWEST:
            return text
    return None
