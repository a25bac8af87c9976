"""Pictures, sounds and files in a request: what of them is text, and that the rest was not read."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from guard.openai_api.found import Found
from guard.openai_api.parts import Unread
from guard.openai_api.shapes import Name

_DATA_URL = re.compile(
    r"data:(?P<media>[a-z0-9.+\-]{1,64}/[a-z0-9.+\-]{1,64})"
    r"(?P<parameters>(?:;[a-z0-9\-]{1,32}=[a-z0-9\-]{1,32}){0,2})"
    r";base64,(?P<data>[A-Za-z0-9+/_\-\r\n]*={0,2})",
    re.IGNORECASE | re.ASCII,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]+={0,2}")


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, a sound or a file, inline or as an address.

    An address is reported as a text, an inline text file too; what lies behind is reported unread.
    """

    kind: str

    def read(self, value: Any, path: str, found: Found) -> Any:
        if not isinstance(value, str):
            return found.drop(path, "wrong_type")
        inline = _DATA_URL.fullmatch(value)
        text = _inline_text(inline) if inline else None
        if text is not None:
            found.text(path, "file", text)
            return value
        if not inline and not _BASE64.fullmatch(value):
            found.text(path, "url", value)
        found.unread.append(Unread(path, self.kind))
        return value


@dataclass(frozen=True, slots=True)
class Stored:
    """The id of something that the upstream keeps: what it holds is not read here."""

    kind: str

    def read(self, value: Any, path: str, found: Found) -> Any:
        found.unread.append(Unread(path, self.kind))
        return Name().read(value, path, found)


def _inline_text(inline: re.Match[str]) -> str | None:
    """The text of an inline text file, or None when it is not one."""
    media, parameters = inline["media"].lower(), inline["parameters"].lower()
    if not media.startswith("text/") and media != "application/json":
        return None
    if "charset=" in parameters and "charset=utf-8" not in parameters:
        return None
    data = "".join(inline["data"].split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
