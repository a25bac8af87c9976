"""Pictures, sounds and files in JSON of any shape, as most protocols write them. Pure."""

from __future__ import annotations

from typing import Any, Final

from guard.openai_api import bounded
from guard.texts.json_replies import place_of

_MEDIA: Final = frozenset(
    {"image", "image_file", "audio", "video", "file", "document", "media", "computer_screenshot"}
)
_HELD: Final = frozenset(
    {
        "audio",
        "audio_url",
        "base64",
        "data",
        "document_url",
        "file",
        "file_data",
        "file_id",
        "file_url",
        "image",
        "image_file",
        "image_url",
        "input_audio",
        "source",
        "url",
        "video",
        "video_url",
    }
)
_AS_TEXT: Final = ("data:text/", "data:application/json")
_INLINE: Final = ("inline_data", "inlineData", "file_data", "fileData")
_BARE: Final = ("image", "audio", "video")


def unread_in(value: object) -> list[str]:
    """Where pictures, sounds and files stand in a value."""
    found: list[str] = []
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        path = bounded(path)
        if isinstance(item, dict):
            if _is_media(item):
                found.append(place_of(path))
            waiting += [(f"{path}.{key}" if path else str(key), one) for key, one in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{path}[{n}]", one) for n, one in enumerate(item)]
    return found


def _is_media(part: dict[Any, Any]) -> bool:
    kind = part.get("type")
    named = isinstance(kind, str) and kind.removeprefix("input_").removesuffix("_url") in _MEDIA
    if named and any(part.get(key) and not _is_said(key, part[key]) for key in _HELD):
        return True
    inline = any(isinstance(part.get(key), dict) for key in _INLINE)
    beside = isinstance(part.get("images"), list | str) and bool(part["images"])
    content = part.get("content")
    among = isinstance(content, list) and any(map(_is_bare, content))
    return inline or among or (beside and ("content" in part or "prompt" in part))


def _is_bare(part: object) -> bool:
    """Whether a part of a message is a picture by its key alone, as in Qwen's own protocol."""
    if not isinstance(part, dict) or "type" in part:
        return False
    return any(isinstance(part.get(key), str | list | dict) and part[key] for key in _BARE)


def _is_said(key: str, value: object) -> bool:
    """Whether what stands under such a key is a text all the same, and as such is read."""
    if key == "source":  # a document that is given as its text, or the name of where it is from
        given = isinstance(value, dict) and value.get("type") in ("text", "content")
        return given or (isinstance(value, str) and len(value) <= 64 and "/" not in value)
    if key == "file" and isinstance(value, dict):  # where OpenAI's protocol is
        return str(value.get("file_data")).lower().startswith(_AS_TEXT)
    return False
