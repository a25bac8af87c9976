"""One streamed answer on its way through the guard; every streaming edge makes one of these.

Its state belongs to one answer. An edge feeds it text as it comes and sends on what a step
releases; when a step says `stop`, the edge ends every open choice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from guard.decision import Decision, Part, merged
from guard.engine import Asked, Facts, Guard
from guard.policy import Mode
from guard.stream.windows import Look, Windows
from guard.texts.escapes import argued
from guard.texts.seams import seams_of_answer

_CLOSING: set[asyncio.Task[Decision]] = set()  # a loop alone would not keep them
AHEAD: frozenset[Mode] = frozenset({"async", "retract"})


class Release(NamedTuple):
    """Text that may go out now."""

    choice: int
    channel: Hashable
    text: str


class Step(NamedTuple):
    """What follows from new text: what may go out, and then, where it is set, why to stop."""

    released: tuple[Release, ...] = ()
    stop: Decision | None = None


@dataclass
class _Channel:
    """One growing string of one choice: its content, or a tool call's arguments."""

    choice: int
    key: Hashable
    windows: Windows
    whole: bool
    pieces: list[str] = field(default_factory=list)
    queue: list[Look] = field(default_factory=list)
    ended: bool = False

    @property
    def where(self) -> str:
        return f"choices[{self.choice}].{self.key}"

    @property
    def kind(self) -> str:
        return str(self.key).partition("[")[0]

    @property
    def part(self) -> Part:
        return self._since(0)

    def unseen(self, before: int) -> Part:
        """What no look has passed, with so many characters before it."""
        return self._since(max(0, self.windows.passed - before))

    def _since(self, start: int) -> Part:
        text = "".join(self.pieces)[start:]
        return Part(self.where, argued(text) if self.whole else text)


async def settled() -> None:
    """Wait for the answers that are still being recorded here: before logs are closed."""
    here = asyncio.get_running_loop()
    await asyncio.gather(
        *(task for task in tuple(_CLOSING) if task.get_loop() is here), return_exceptions=True
    )


class StreamSession:
    """One answer.

    Args:
        guard: decides.
        asked: what is being answered.
        mode: other than the policy's, as where an edge can't stream.

    Attributes:
        dropped: keys of its chunks that were left out, as far as its edge counts them.
    """

    def __init__(self, guard: Guard, asked: Asked, mode: Mode | None = None) -> None:
        self._guard, self._asked = guard, asked
        self._policy = guard.policy.stream
        self._mode: Mode = mode or self._policy.mode
        self._channels: dict[tuple[int, Hashable], _Channel] = {}
        self._decision: Decision | None = None
        self._looking: asyncio.Task[None] | None = None
        self._passed: asyncio.Future[None] | None = None  # done with the next look
        self._looks = self.dropped = 0
        self._exposed = 0  # the most characters that were out before their check was done
        self._closing: asyncio.Task[Decision] | None = None

    async def feed(self, choice: int, channel: Hashable, text: str, *, whole: bool = False) -> Step:
        """Take new text of a choice.

        Args:
            choice: its index.
            channel: which of its strings: content, reasoning, a tool call's arguments.
            text: what is new.
            whole: hold all of this channel until the choice ends, as for tool calls.
        """
        if self._stopped is not None:
            return Step(stop=self._stopped)
        one = self._channel(choice, channel, whole=whole)
        one.pieces.append(text)
        due = one.windows.add(text)
        if one.whole or self._mode == "buffer":
            return Step()
        one.queue += due
        if self._mode in AHEAD:
            return await self._ahead(one)
        await self._look()
        return self._step([one], lambda windows: windows.safe())

    async def aside(self, parts: Sequence[Part]) -> Step:
        """Scan short texts that are complete, and stand beside the ones that grow."""
        if self._stopped is None:
            await self._decide(parts, judged=False, once=True)
        return Step(stop=self._stopped)

    async def hasten(self, choice: int, channel: Hashable) -> Step:
        """Look at a text's tail although it may go on, and release all that came of it."""
        one = self._channels.get((choice, channel))
        if self._stopped is not None or one is None or one.whole or self._mode == "buffer":
            return Step(stop=self._stopped)
        if (tail := one.windows.tail()) is not None:
            one.queue.append(tail)
        if self._looking is not None:
            await self._looking
        await self._look()
        return self._step([one], lambda windows: windows.release(windows.passed))

    async def drop(self, choice: int, channel: Hashable) -> Step:
        """Forget a text that turns out to be none: what came of it is scanned, as in `aside`."""
        one = self._channels.pop((choice, channel), None)
        return Step(stop=self._stopped) if one is None else await self.aside([one.part])

    async def finish(self, choice: int) -> Step:
        """The choice has ended: look at its tail and at all of it, and release the rest."""
        if self._stopped is not None:
            return Step(stop=self._stopped)
        channels = [one for one in self._channels.values() if one.choice == choice]
        held = self._mode == "buffer"
        for one in channels:
            tail = None if one.ended else one.windows.tail()
            one.ended = True
            if tail is None or held or one.whole:
                continue
            if len(channels) > 1 or len(tail.text) < one.windows.added:  # else all of it is next
                one.queue.append(tail)
        early = self._let_go() if self._mode in AHEAD else ()
        if self._looking is not None:
            await self._looking
        await self._look()
        await self._look_at_all(channels)
        if self._stopped is not None:
            return Step(early, self._stopped)
        for one in channels:
            one.windows.settle(one.windows.added)
        rest = self._step(channels, lambda windows: windows.release(windows.added))
        return Step(early + rest.released, rest.stop)

    async def close(self, *, again: bool = False) -> Decision:
        """Record what was decided about all that came; also when the client has left.

        What no look has seen by then is scanned; the judge is not asked about it any more. Who
        waits for it may be cancelled: it is done all the same.

        Args:
            again: another answer is asked for in place of this one; without it a decision to
                regenerate is one to block.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(again=again))
            _CLOSING.add(self._closing)
            self._closing.add_done_callback(_CLOSING.discard)
        return await asyncio.shield(self._closing)

    async def _close(self, *, again: bool) -> Decision:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        decision = await self._last()
        done = decision if again else decision.withheld()
        parts = [one.part for one in self._channels.values()]
        facts = Facts(True, self._looks, self._exposed, self.dropped)
        await self._guard.record(done, parts, self._asked, facts)
        return done

    @property
    def _stopped(self) -> Decision | None:
        return self._decision if self._decision is not None and self._decision.stops else None

    def _channel(self, choice: int, key: Hashable, *, whole: bool) -> _Channel:
        found = self._channels.get((choice, key))
        if found is None:
            windows = Windows(self._policy.window, self._policy.overlap)
            found = self._channels[choice, key] = _Channel(choice, key, windows, whole)
        return found

    async def _ahead(self, one: _Channel) -> Step:
        """Release at once, but never more than `exposure` characters ahead of the looks."""
        released = self._let_go()
        self._look_on()  # beside what comes
        await asyncio.sleep(0)
        channels = self._channels.values()
        while one.windows.released < one.windows.added and any(each.queue for each in channels):
            await self._one_look()
            if self._stopped is not None:
                break
            released += self._let_go()
        return Step(released, self._stopped)

    def _look_on(self) -> asyncio.Task[None]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        return self._looking

    async def _one_look(self) -> None:
        """Wait until one of the looks that are due is done."""
        self._passed = asyncio.get_running_loop().create_future()
        either = {self._look_on(), self._passed}
        done, _ = await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()

    def _let_go(self) -> tuple[Release, ...]:
        """Release what the looks have passed, and `exposure` characters of all channels more."""
        channels = [one for one in self._channels.values() if not one.whole]
        ahead = sum(max(0, one.windows.released - one.windows.passed) for one in channels)
        out = []
        for one in channels:
            windows = one.windows
            start = max(windows.released, windows.passed)
            text = windows.release(start + self._policy.exposure - ahead)
            ahead += max(0, windows.released - start)
            out += [Release(one.choice, one.key, text)] if text else []
        self._exposed = max(self._exposed, ahead)
        return tuple(out)

    def _step(self, channels: Sequence[_Channel], release: Callable[[Windows], str]) -> Step:
        """What the looks have passed, and why to stop, if one says so."""
        texts = [(one, release(one.windows)) for one in channels]
        released = tuple(Release(one.choice, one.key, text) for one, text in texts if text)
        return Step(released, self._stopped)

    async def _look(self) -> None:
        """Go through the looks that are due, in order, until one says stop."""
        for one in list(self._channels.values()):
            while one.queue and self._stopped is None:
                look = one.queue[0]
                await self._decide([Part(one.where, look.text)], judged=True, once=True)
                one.queue.pop(0)
                if self._stopped is None:
                    one.windows.settle(look.end)
                if self._passed is not None and not self._passed.done():
                    self._passed.set_result(None)
                await asyncio.sleep(0)  # many may be due: others get their turn

    async def _look_at_all(self, channels: Sequence[_Channel]) -> None:
        """All that a choice says; where it is several texts, also what they say together."""
        said = [(one.kind, "".join(one.pieces)) for one in channels]
        if self._stopped is None and (joined := await seams_of_answer(said)):
            await self._decide(joined, judged=False, once=True)
        if self._stopped is None and channels:
            await self._decide([one.part for one in channels], judged=True)

    async def _last(self) -> Decision:
        """The decision about all that came, once no more looks are made."""
        late = [one for one in self._channels.values() if one.windows.passed < one.windows.added]
        if self._decision is None or (late and self._stopped is None):
            unseen = [one.unseen(self._policy.window) for one in late]
            await self._decide(unseen, judged=False, once=True)
        decision = self._decision
        if decision is None:
            raise AssertionError("a look always decides")
        left = late and self._stopped is None
        return decision.unheard(self._guard.rules) if left else decision

    async def _decide(self, parts: Sequence[Part], *, judged: bool, once: bool = False) -> None:
        self._looks += 1
        streamed, before = self._mode != "buffer", self._decision
        late = before.late if once and before is not None else None  # all of it is judged anew
        asked = replace(self._asked, late=late) if late else self._asked
        decision = await self._guard.look(
            "output", parts, asked, judged=judged, streamed=streamed, once=once
        )
        self._decision = decision if self._decision is None else merged(self._decision, decision)
