"""A share of live traffic goes to people: rows for `annotate`, whose labels go to `calibrate`.

Each queue is a run folder's log, so that every command that reads a run reads it too. `random/` is
a simple random sample of conversations, drawn before anything is decided about them; `human/` holds
what a rule hands to people, with the judge's opinion or without, and is no sample of anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

from guard.audit.lines import SharedLines
from guard.decision import Decision, Part
from guard.engine import Asked
from guard.event import text_hash
from guard.log import LOG
from judge.dimensions import shipped_subcomponent
from judge.errors import InputError
from judge.llm.about import about
from judge.protocols import Judge
from judge.records import Record
from judge.rubric import Rubric
from judge.runlog import Entry, outcome_line, read_log
from judge.verdict import Case, Failure, FailureKind, Hazard, Outcome, RubricRef

QUEUES = ("random", "human")
VERDICTS = "verdicts.jsonl"
MOST_WAITING = 200
AT_ONCE = 2
GRACE_S = 5.0  # at the end; who stops a server kills it after some more
REMEMBERED = 20_000  # drawn conversations whose later turns are known; the draw needs no memory
CHOICE = "+"  # before what tells the answers to one request apart
NAMED = 16  # hex digits of a conversation that a row's id begins with


@dataclass(frozen=True)
class Draw:
    """A simple random sample of conversations.

    Args:
        share: of them that is drawn, in [0, 1].
        secret: makes the draw unforeseeable to those who talk.
    """

    share: float
    secret: bytes

    def has(self, conversation: str) -> bool:
        """Whether a conversation is in the sample, whatever is said in it or decided about it."""
        digest = hmac.digest(self.secret, conversation.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "big") < self.share * 2**64


class LabelQueue:
    """Takes answers for people to label; judged beside the traffic, never in its way.

    One serves several event loops: each judges what was offered in it.

    Args:
        folder: gets `random/verdicts.jsonl` and `human/verdicts.jsonl`.
        draw: which conversations are labelled.
        judge: judges what is drawn, so that its labels can calibrate it.
        rubrics: in which dimensions.
        lost: told of each answer that people don't get, by its queue's name.
        now: the time, with its zone.

    Raises:
        InputError: the sample in the folder was judged by another judge, or it can't be used.
    """

    def __init__(
        self,
        folder: Path,
        draw: Draw,
        judge: Judge,
        rubrics: Sequence[Rubric],
        *,
        lost: Callable[[str], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judge, self._rubrics, self._now = judge, tuple(rubrics), now
        self._draw, self._lost = draw, lost
        self._logs = {name: SharedLines(folder / name / VERDICTS) for name in QUEUES}
        for name, log in self._logs.items():
            if torn := log.take_out(_is_torn):
                LOG.warning("rows to label (%s) that a kill or a full disk tore: %d", name, torn)
        self._drawn, self._lock = OrderedDict[str, None](), Lock()
        signers = {one.dimension: set(judge.signers(one)) for one in self._rubrics}
        for entry in read_log(self._logs["random"].file):
            if entry.judge not in signers.get(entry.dimension, {entry.judge}):
                raise _of_another(folder, entry)
            self._is_new(entry.record_id.partition("-")[0])
        # A semaphore wakes nobody who waits in another loop.
        self._rooms = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()
        self._waiting: dict[asyncio.Task[None], str] = {}
        self._dropped = 0

    def offer(self, decision: Decision, parts: Sequence[Part], asked: Asked) -> None:
        """Take an answer, if its conversation is drawn or a rule hands it to people."""
        if decision.side != "output":
            return
        conversation = asked.conversation
        names = ["human"] if decision.action == "human" else []
        if self._draw.has(conversation) and self._is_new(conversation[:NAMED]):
            names.append("random")
        for name in names:
            ask = len(self._waiting) < MOST_WAITING
            if not ask and name == "random":
                self._lose(name, "too many wait for the judge")
                continue
            with about(None):  # anybody may have chosen the text
                task = asyncio.ensure_future(self._take(name, conversation, parts, asked, ask=ask))
            self._waiting[task] = name
            task.add_done_callback(self._waiting.pop)

    def forget(self, *, before: datetime) -> int:
        """Delete older rows of both queues; gives their number. May run in another thread.

        Raises:
            InputError: they can't be written.
        """
        return sum(log.take_out(_Named(before)) for log in self._logs.values())

    async def aclose(self) -> None:
        """Finish what waits in this loop, for a few seconds at most, and let go of the files."""
        here = asyncio.get_running_loop()
        waiting = [task for task in tuple(self._waiting) if task.get_loop() is here]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=GRACE_S)
            names = {task: self._waiting[task] for task in late}
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            for task, name in names.items():
                if task.cancelled():
                    self._lose(name, "the judge or the disk was too slow at the end")
        for log in self._logs.values():
            log.close()

    def _is_new(self, conversation: str) -> bool:
        """Whether a drawn conversation has no row yet; from now on it has one.

        What is seen again is remembered longest. A conversation that goes on after 20,000 others
        were drawn gets a second row: rare, and it changes nothing about who is drawn.
        """
        with self._lock:
            new = conversation not in self._drawn
            self._drawn[conversation] = None
            self._drawn.move_to_end(conversation)
            if len(self._drawn) > REMEMBERED:
                self._drawn.popitem(last=False)
        return new

    async def _take(
        self, name: str, conversation: str, parts: Sequence[Part], asked: Asked, *, ask: bool
    ) -> None:
        """Judge one answer in every dimension and log it; what fails counts as dropped.

        What people are to see they get, whatever becomes of the judge, and at the end in any case.
        """
        text = "\n".join(part.text for part in parts)
        try:
            record = Record(
                id=f"{conversation[:NAMED]}-{asked.request_id}{_choice(name, text)}",
                prompt=asked.prompt,
                response=text,
                model=asked.model,
                history=asked.history,
                source=f"{name}:1",
            )
            for rubric in self._rubrics:
                hazard = asked.hazard or Hazard.UNKNOWN
                part = shipped_subcomponent(asked.prompt, rubric.dimension)  # as `score` does
                mine = record.model_copy(update={"subcomponent": part})
                case = Case(record=mine, rubric=rubric, response=text, hazard=hazard)
                try:
                    outcome = await self._judged(case) if ask else self._unjudged(case, "busy")
                except (Exception, asyncio.CancelledError) as error:
                    if name == "random":
                        raise
                    ask = isinstance(error, Exception)  # at the end, nothing is asked any more
                    outcome = self._unjudged(case, type(error).__name__)
                line = outcome_line(case, outcome, self._now())
                await asyncio.to_thread(self._logs[name].append, line.removesuffix("\n"))
        except Exception as error:  # noqa: BLE001 - a row less is no reason to disturb the traffic
            self._lose(name, type(error).__name__)

    async def _judged(self, case: Case) -> Outcome:
        here = asyncio.get_running_loop()
        async with self._rooms.setdefault(here, asyncio.Semaphore(AT_ONCE)):
            [outcome] = await self._judge.assess([case])
        return outcome

    def _unjudged(self, case: Case, why: str) -> Outcome:
        return Failure(
            record_id=case.record.id,
            dimension=case.rubric.dimension,
            judge=self._judge.ref(case.rubric),
            rubric=RubricRef.of(case.rubric),
            kind=FailureKind.UNAVAILABLE,
            detail=why,
        )

    def _lose(self, name: str, why: str) -> None:
        """Count an answer that people don't get, and tell of the first, the tenth, and so on."""
        self._dropped += 1
        self._lost(name)
        if str(self._dropped).strip("0") == "1":
            LOG.warning("%d drawn answers are missing for labelling: %s", self._dropped, why)


def forget_labels(
    folder: Path,
    *,
    before: datetime | None = None,
    request_id: str | None = None,
    conversation: str | None = None,
) -> int:
    """Delete rows of both queues that are older, of a request, or of a conversation.

    Each queue is replaced in one step, also while a server goes on filling it. Where rows go, lines
    that can't be read go too.

    Args:
        folder: the queue's.
        before: rows from before then.
        request_id: as headers name it.
        conversation: as events name it.

    Returns:
        How many rows were deleted.

    Raises:
        InputError: the folder is no queue, or can't be written.
    """
    files = [file for name in QUEUES if (file := folder / name / VERDICTS).is_file()]
    if not files:
        raise InputError("is no label queue", file=folder, mend="name serve's --label-queue")
    gone = 0
    for lines in map(SharedLines, files):
        try:
            gone += lines.take_out(_Named(before, request_id, conversation))
        finally:
            lines.close()
    return gone


def _of_another(folder: Path, entry: Entry) -> InputError:
    """Labels of a sample calibrate the one judge that judged it."""
    name = "nobody" if entry.judge is None else entry.judge.name
    problem = f"its sample was judged by another judge or under other settings ({name})"
    return InputError(problem, file=folder, mend="give another folder, or move this one away")


def _choice(name: str, text: str) -> str:
    """What tells a row from others of its request: people get several answers to one question."""
    return CHOICE + text_hash([text])[:8] if name == "human" else ""


def _is_torn(line: bytes) -> bool:
    """Whether a line is no JSON; a server's start and every reader would stumble over it."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


@dataclass(frozen=True)
class _Named:
    """Which rows are to go."""

    before: datetime | None = None
    request_id: str | None = None
    conversation: str | None = None

    def __call__(self, line: bytes) -> bool | None:
        """Whether a line goes; None for one that can't be read."""
        try:
            entry = Entry.model_validate_json(line)
            at = datetime.fromisoformat(entry.at or "")
        except ValueError:  # pydantic's are such
            return None
        who, _, request = entry.record_id.partition("-")
        return (
            (self.before is not None and at < self.before)
            or self.request_id in {request, request.rpartition(CHOICE)[0] or request}
            or (self.conversation is not None and who == self.conversation[:NAMED])
        )
