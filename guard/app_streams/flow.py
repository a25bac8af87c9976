"""A stream of an application's own events: each goes out, as it came, once all of it may.

An event's texts grow, each under its own path, from event to event; the guard says how far each
may be shown. An event waits until that reaches the end of what it adds, and keeps its place.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from guard.app_streams.readings import Fed, Needs, Reading, Readings
from guard.app_streams.setting import Setting
from guard.decision import Decision, Part
from guard.openai_api import (
    ApiError,
    guard_unavailable,
    is_chunk,
    parse_value,
    strings_of,
    upstream_unreadable,
)
from guard.stream import AHEAD, Step, StreamSession
from guard.texts.emptied import said_in
from guard.texts.json_replies import WORD, place_of, texts_of

MOST_TEXTS: Final = 256  # paths whose texts grow
MOST_WORDS: Final = 4  # changes of a word under one path before it counts as a text that grows
MOST_BEFORE: Final = 64  # words under one path that are kept in case it turns out to be a text
MOST_REMEMBERED: Final = 10_000  # words that are not scanned again
MOST_CHARACTERS: Final = 10_000_000
NEAR: Final = 40  # characters of others within which a short text may go on
_NAME: Final = re.compile(r"[A-Za-z_.:-]{1,64}")


def harmless_name(name: str) -> str:
    """An event's name, where it can say nothing by itself; else ""."""
    return name if _NAME.fullmatch(name) else ""


class Waiting(NamedTuple):
    """An event that waits: its value, and how far each text must be shown first."""

    event: Any
    needs: Needs


class Flow:
    """One stream. Feed it events until `stopped`, then `close` it.

    Args:
        setting: the answer's.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting, self._form = setting, setting.form
        self._session = StreamSession(setting.guard, setting.asked)
        self._window = setting.guard.policy.stream.window
        # What is ahead of its check anyway waits for no status to be over.
        self._near = 0 if setting.mode in AHEAD else min(NEAR, self._window)
        self._texts: dict[str, Readings] = {}
        self._channels: dict[str, Reading] = {}
        self._words: dict[str, deque[str]] = {}
        self._spoken: set[str] = set()  # the paths whose words are a text's
        self._scanned: set[str] = set()
        self._queue: deque[Waiting] = deque()
        self._template: Any = None  # the last event that had a reply, and what it said beside that
        self._beside: Mapping[str, str] = {}
        self._size = 0
        self.stopped: Decision | None = None
        self.shown = False

    async def take(self, event: Any, value: Any, beside: Mapping[str, str]) -> list[Any]:
        """The events to send after one more.

        Args:
            event: the event.
            value: what it says, as JSON.
            beside: what it says beside that, under names of its own.

        Raises:
            ApiError: 502 it says too much; 503 it could not be judged.
        """
        before = self._size
        listed = {""} if isinstance(value, str) else self._form.reply_paths.places(value)
        grow, words = self._read(_opened(value), listed)
        if any(path in listed for path, _ in grow):
            self._template, self._beside = value, beside
        for one in (self._read(dict(beside), set()),) if beside else ():
            grow, words = [*grow, *one[0]], [*words, *one[1]]
        needs: Needs = {}
        for path, text in grow:
            await self._feed(self._readings(path).take(text, needs))
        came = self._size - before
        for other in self._texts.keys() - {path for path, _ in grow}:
            await self._feed(self._texts[other].others(came))
        if words:
            self._took(await self._session.aside(words))
        if self.stopped is not None:
            return []
        self._queue.append(Waiting(event, needs))
        return self._ready()

    async def end(self) -> list[Any]:
        """The events to send when no more come.

        Raises:
            ApiError: 503; they could not be judged.
        """
        if self.stopped is None:
            for one in self._texts.values():
                await self._feed(one.end())
            self._took(await self._session.finish(0))
        return [] if self.stopped is not None else self._ready()

    def last_words(self) -> Any:
        """The policy's message in the form of the application's own events."""
        decision = self.stopped
        if decision is None:
            raise AssertionError("the stream was not stopped")
        message, form = self._setting.message(decision), self._form
        said = said_in(self._template, form.reply_paths, message, form.name_keys)
        return form.answer(message) if said is None else said

    @property
    def is_openai(self) -> bool:
        """Whether its events are chunks in OpenAI's form."""
        return is_chunk(self._template)

    def said_as(self) -> str:
        """The name of the application's events that have its reply; "" where it has none."""
        return harmless_name(self._beside.get("event", ""))

    def last_event(self) -> Any:
        """What tells in the application's own form that no more comes; None where nothing does."""
        value, form = self._template, self._form
        if self.is_openai:
            finish = "content_filter" if self.stopped is None else self.stopped.finish
            end: dict[str, Any] = {"delta": {}, "finish_reason": finish}
            chunk = said_in(value, form.reply_paths, "", form.name_keys)
            return {**chunk, "choices": [{**one, **end} for one in chunk["choices"]]}
        if not isinstance(value, dict) or value.get("done") is not False:
            return None
        return {**said_in(value, form.reply_paths, "", form.name_keys), "done": True}

    def behind(self) -> list[Any]:
        """The events that came behind the last text: they end a stream that has come whole."""
        found: list[Any] = []
        while self._queue and not self._queue[-1].needs:
            found.insert(0, self._queue.pop().event)
        return found

    async def close(self, *, again: bool = False) -> Decision:
        """Record what was decided; `again` where another answer is asked for in its place."""
        return await self._session.close(again=again)

    def _readings(self, path: str) -> Readings:
        if path not in self._texts:
            number, place = len(self._texts), place_of(path)
            if number == MOST_TEXTS:
                raise upstream_unreadable()
            name = place if place != "?" else f"?{number}"
            self._texts[path] = Readings(name, self._window, self._near)
        return self._texts[path]

    async def _feed(self, fed: Iterable[Fed]) -> None:
        for channel, text, then in fed:
            self._channels[channel.name] = channel
            if then == "aside":
                self._took(await self._session.aside([Part(channel.name, text)]))
            elif text:
                self._took(await self._session.feed(0, channel.name, self._counted(text)))
            if then == "hasten":
                self._took(await self._session.hasten(0, channel.name))
            elif then == "drop":
                self._took(await self._session.drop(0, channel.name))

    def _took(self, step: Step) -> None:
        for release in step.released:
            channel = self._channels[str(release.channel)]
            channel.shown += len(release.text)
            channel.escapes.raw(len(release.text))  # which the event itself holds
            self.shown = True
        if step.stop is not None:
            self.stopped = step.stop
            if step.stop.failed:
                raise guard_unavailable()

    def _ready(self) -> list[Any]:
        out = []
        while self._queue:
            event, needs = self._queue[0]
            if any(channel.shown < end for channel, end in needs.items()):
                break
            out.append(event)
            self._queue.popleft()
        return out

    def _read(self, value: Any, listed: set[str]) -> tuple[list[tuple[str, str]], list[Part]]:
        """The texts of an event that grow, and its words, which are scanned by themselves.

        A word is an identifier until it changes too often or stands where a text does, except where
        replies are listed.
        """
        grow: list[tuple[str, str]] = []
        words = [part for part in texts_of(value) if part.where == "number"]
        for path, text in strings_of(value):
            if path in listed or not WORD.fullmatch(text):
                grow += [(path, one) for one in (*self._before(path), text)] if text else []
                continue
            words.append(Part(place_of(path), self._counted(text), word=True))
            if not self._is_name(path, text):
                grow += [(path, new) for new in self._changing(path, text)]
        new = [part for part in words if part.text not in self._scanned]
        self._scanned.update(part.text for part in new[: MOST_REMEMBERED - len(self._scanned)])
        return grow, new

    def _counted(self, text: str) -> str:
        self._size += len(text)
        if self._size > MOST_CHARACTERS:
            raise upstream_unreadable()
        return text

    def _is_name(self, path: str, text: str) -> bool:
        """Whether a word is a key of the application's own, or an identifier by its key."""
        return path.rsplit(".", 1)[-1].removesuffix("~") in self._form.name_keys or (
            path.endswith("~") and len(text) <= 32
        )

    def _changing(self, path: str, text: str) -> list[str]:
        """What a word adds to a growing text: nothing while it is one of a few."""
        if path in self._spoken:
            return [text]
        words = self._words.setdefault(path, deque(maxlen=MOST_BEFORE))
        if len(self._words) > MOST_TEXTS:
            raise upstream_unreadable()
        words.append(text)
        return self._before(path) if len(set(words)) > MOST_WORDS else []

    def _before(self, path: str) -> list[str]:
        """The words that came before a path was known to be a text's."""
        self._spoken.add(path)
        return list(self._words.pop(path, ()))


def _opened(value: Any, rounds: int = 3) -> Any:
    """A value in which JSON objects that are strings are read as objects: some write them twice."""
    if isinstance(value, dict):
        return {key: _opened(item, rounds) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(item, rounds) for item in value]
    if not (rounds and isinstance(value, str) and value[:1] == "{" and value.rstrip()[-1:] == "}"):
        return value
    try:
        return _opened(parse_value(value.encode(), len(value.encode())), rounds - 1)
    except ApiError:
        return value
