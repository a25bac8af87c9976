"""A chatbot's own JSON: which of its strings is the prompt or the reply, and a reply of ours. Pure.

Every string is judged, wherever it stands; the paths only say which ones a person reads as the
prompt or the reply, and where the policy's message goes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guard.decision import Part
from guard.escapes import unescaped
from guard.framed import alike
from guard.openai_api import JsonPath, bounded, is_nobodys, strings_of
from judge.records import Turn

PROMPTS: Final = ("prompt", "message", "question", "query", "text", "input", "content")
REPLIES: Final = (
    "message.content",
    "delta.content",
    "delta.text",
    "reply",
    "answer",
    "response",
    "message",
    "text",
    "content",
    "output",
    "delta",
    "token",
)
# Keys whose values are identifiers.
NAMES: Final = (
    "id",
    "event_id",
    "message_id",
    "conversation_id",
    "session_id",
    "request_id",
    "trace_id",
    "created_at",
    "timestamp",
    "type",
    "event",
    "object",
    "model",
    "role",
    "status",
    "finish_reason",
)
WORD: Final = re.compile(r"[A-Za-z0-9_.:/\-]{1,64}")
_PLACE = re.compile(r"[A-Za-z0-9_.\[\]~\-]{0,128}")
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
_LONG_NUMBER: Final = 10**6  # shorter ones are no phone number, card or identity


@dataclass(frozen=True)
class Paths:
    """Where to look, most telling first; a path that leads nowhere is passed over."""

    paths: tuple[JsonPath, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Paths:
        """Paths as they are written.

        Raises:
            InputError: one is none.
        """
        return cls(tuple(map(JsonPath.parse, texts)))

    def leading(self, value: object) -> list[JsonPath]:
        """The paths whose first step this value has: most have none, and events are many."""
        if not isinstance(value, dict):
            return list(self.paths)
        return [
            path
            for path in self.paths
            if not isinstance(path.steps[0], str) or path.steps[0] in value
        ]

    def places(self, value: object) -> set[str]:
        """The paths, in this value, of the texts that they lead to."""
        found = set()
        for at, one in (pair for path in self.leading(value) for pair in path.find(value)):
            items, start = (one, bounded(at)) if isinstance(one, list) else ((), at)
            found |= {f"{start}[{n}]" for n, item in enumerate(items) if isinstance(item, str)}
            found |= {at} if isinstance(one, str) else set()
        return found

    def first(self, value: object) -> str | None:
        """The text below the first path that leads to one; a string is its own text."""
        if isinstance(value, str):
            return value
        for path in self.leading(value):
            found = [text for _, one in path.find(value) for text in _direct(one)]
            if found:
                return "\n".join(found)
        return None


def texts_of(value: object, spoken: Paths | None = None) -> list[Part]:
    """Every string of a value, keys included, and its long numbers; single words are marked so.

    JSON inside a string is read without its escapes. A word in a list of texts is a text.

    Args:
        value: JSON; a string alone is a text.
        spoken: where even a single word is a text.
    """
    texts = {""} if isinstance(value, str) else set() if spoken is None else spoken.places(value)
    strings = list(strings_of(value))
    said = {alike(path) for path, text in strings if text and not WORD.fullmatch(text)}
    found = [
        Part(
            place_of(path),
            unescaped(text),
            word=path not in texts and bool(WORD.fullmatch(text)) and alike(path) not in said,
        )
        for path, text in strings
    ]
    return found + [Part("number", str(number), word=True) for number in _numbers(value)]


def unread_in(value: object) -> list[str]:
    """Where pictures, sounds and files stand in a value: as most protocols write them."""
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


def place_of(path: str) -> str:
    """A path as it may be logged: keys may be anybody's text."""
    return path if _PLACE.fullmatch(path) else "?"


def turns_of(history: object) -> tuple[Turn, ...]:
    """Earlier turns, where a `history` has them in OpenAI's form."""
    turns = []
    for one in history if isinstance(history, list) else ():
        role = one.get("role") if isinstance(one, dict) else None
        text = one.get("content") if isinstance(one, dict) else None
        if role in ("system", "user", "assistant") and isinstance(text, str):
            turns.append(Turn(role=role, content=text))
    return tuple(turns)


def said_in(value: object, replies: Paths, message: str, names: Collection[str] = NAMES) -> Any:
    """The value with the policy's message as its reply, and with no other text in it.

    Keys that are no single ASCII words, or are numbers, go with what stands under them. None when
    the value has no place for a reply.

    Args:
        value: an answer that was withheld.
        replies: where its reply may stand.
        message: the policy's.
        names: keys whose values stay where they are single words: clients go by them.
    """
    if isinstance(value, str):
        return message
    for path in replies.leading(value):
        if any(_direct(one) for _, one in path.find(value)):
            return path.replaced(_emptied(value, names), lambda _: message)
    return None


def _direct(value: object) -> list[str]:
    """A string, or a list's strings: what is a text by itself."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _emptied(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if _is_key(key)}
        return {
            key: item if key in names and _is_name(item) else _emptied(item, names)
            for key, item in kept.items()
        }
    if isinstance(value, list):
        return [_emptied(item, names) for item in value]
    return value if isinstance(value, bool | None) or abs(value) < _LONG_NUMBER else 0


def _is_key(key: str) -> bool:
    """Whether a key may stay: a word, and no number that could be somebody's."""
    return _is_name(key) and not re.search(r"\d{7}", key)


def _is_name(value: object) -> bool:
    """Whether an identifier may: nothing but personal data is looked for in one."""
    return isinstance(value, str) and bool(WORD.fullmatch(value)) and is_nobodys(value)


def _numbers(value: object) -> Iterator[int | float]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, int | float) and abs(item) >= _LONG_NUMBER:
            yield item
