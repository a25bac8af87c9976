"""The judge asked at run time: within the deadline, the budget and the breaker's patience."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from guard.decision import Missed, Part
from guard.engine.limits import Breaker, DailyBudget
from guard.engine.spending import PaidJudge
from guard.event import text_hash
from guard.log import say_broken
from guard.policy import Policy
from judge.dimensions import shipped_subcomponent
from judge.errors import BudgetReached, FlamesJudgeError
from judge.llm.about import about
from judge.protocols import Judge
from judge.records import Record, Turn
from judge.rubric import Rubric
from judge.verdict import Case, Failure, FailureKind, Hazard, Outcome

PIECE, SHARED = 40_000, 400  # characters of a long text that are judged together, and shared
LEAST = 4_000  # of a piece, however much stands around it


@dataclass(frozen=True)
class Asked:
    """What a text stands in: the newest prompt, and the turns before it.

    `hazard` overrides the policy's. The checks of the rules in `late` are not waited for: they were
    too late for this text before.
    """

    prompt: str = ""
    history: tuple[Turn, ...] = ()
    request_id: str = ""
    model: str | None = None
    hazard: Hazard | None = None
    late: frozenset[str] = frozenset()

    @cached_property
    def conversation(self) -> str:
        """A hash that joins the turns of one conversation: of how its user began it."""
        said = (turn.content for turn in self.history if turn.role == "user")
        return text_hash([next(said, self.prompt)])

    @cached_property
    def chat(self) -> str | None:
        """A hash of how a chat began, up to its first answer; None before there is one."""
        turns = enumerate(self.history, 1)
        begun = next((at for at, turn in turns if turn.role == "assistant"), None)
        return None if begun is None else text_hash([t.content for t in self.history[:begun]])


class PatientJudge:
    """The policy's judge under its limits.

    Args:
        judge: is asked.
        policy: deadline, and whether prompts are known to be hazardous.
        rules: by dimension, all that a check that fails is booked on.
        breaker: spares a judge that keeps failing.
        budget: the day's money.
    """

    def __init__(
        self,
        judge: Judge,
        policy: Policy,
        rules: Mapping[str, Sequence[str]],
        breaker: Breaker,
        budget: DailyBudget,
    ) -> None:
        self._judge, self._policy, self._rules = PaidJudge(judge, budget), policy, rules
        self._breaker, self._budget = breaker, budget
        self._warm = False
        self._warming = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]()

    async def warm(self) -> None:
        """Load what the first check would wait for.

        Raises:
            JudgeUnavailable: the judge can't be loaded.
        """
        if self._warm:
            return
        loop = asyncio.get_running_loop()  # a lock wakes nobody who waits in another one
        async with self._warming.setdefault(loop, asyncio.Lock()):  # all begin together
            if not self._warm:
                await self._judge.warm()
                self._warm = True

    async def ask(
        self, rubrics: Sequence[Rubric], parts: Sequence[Part], asked: Asked
    ) -> tuple[list[tuple[str, Outcome]], list[Missed]]:
        """Each dimension's outcomes, in parallel and within the deadline."""
        late = [one for one in rubrics if asked.late.issuperset(self._rules[one.dimension])]
        missed = [each for one in late for each in self._missed(one.dimension, "deadline")]
        due = [one for one in rubrics if one not in late]
        outcomes, more = await self._ask_all(due, parts, asked) if due else ([], [])
        return outcomes, [*missed, *more]

    async def _ask_all(
        self, rubrics: Sequence[Rubric], parts: Sequence[Part], asked: Asked
    ) -> tuple[list[tuple[str, Outcome]], list[Missed]]:
        def all_missed(kind: str) -> list[Missed]:
            return [one for rubric in rubrics for one in self._missed(rubric.dimension, kind)]

        if not self._budget.open:
            return [], all_missed("budget")
        with suppress(Exception):  # what keeps it from loading will keep it from answering
            await self.warm()  # before the deadline begins
        cases = [case for rubric in rubrics for case in self._cases(rubric, parts, asked)]
        told = asked.prompt or asked.history
        whom = asked.conversation if told else text_hash([cases[0].response])
        if not self._breaker.admits():  # last: who is let in tells the breaker how it went
            return [], all_missed("breaker")
        with about(None):  # anybody may have chosen the text
            tasks = [asyncio.ensure_future(self._ask(case)) for case in cases]
        try:
            done, _ = await asyncio.wait(tasks, timeout=self._policy.deadline_s)
        except BaseException:
            self._breaker.gave_up()
            raise
        finally:
            for task in tasks:
                task.add_done_callback(_heard)
                task.cancel()
        outcomes: list[tuple[str, Outcome]] = []
        missed: list[Missed] = []
        for case, task in zip(cases, tasks, strict=True):
            name = case.rubric.dimension
            kind = _trouble(task) if task in done else "deadline"
            if kind is None:
                outcomes.append((name, task.result()))
            else:
                missed += self._missed(name, kind)
        self._learn([outcome for _, outcome in outcomes], {one.kind for one in missed}, whom)
        return outcomes, missed

    def _missed(self, dimension: str, kind: str) -> list[Missed]:
        """A check that failed, for each rule that went by it."""
        return [Missed(rule, kind) for rule in self._rules[dimension]]

    async def _ask(self, case: Case) -> Outcome:
        [outcome] = await self._judge.assess([case])
        return outcome

    def _learn(self, outcomes: Sequence[Outcome], missed: set[str], whom: str) -> None:
        """Tell the breaker how asking about one text went; any answer shows a judge at work."""
        kinds = {one.kind if isinstance(one, Failure) else None for one in outcomes}
        silent = {kind for kind in kinds if kind is not None and kind.transient}
        if kinds - silent - {FailureKind.OVERSIZE}:
            self._breaker.succeeded()
        elif "unavailable" in missed:
            self._breaker.failed(None)
        elif silent or missed - {"budget"}:
            self._breaker.failed(whom)
        else:
            self._breaker.gave_up()

    def _cases(self, rubric: Rubric, parts: Sequence[Part], asked: Asked) -> list[Case]:
        """The cases of one text: one, or as many as its length takes, so that its end counts."""
        text = "\n".join(part.text for part in parts)  # thinking too: the user sees all of it
        record = Record(
            id=asked.request_id or "-",
            prompt=asked.prompt,
            response=text,
            dimension=rubric.dimension,
            subcomponent=shipped_subcomponent(asked.prompt, rubric.dimension),  # as `score` does
            model=asked.model,
            history=asked.history,
        )
        hazard = asked.hazard or self._policy.hazard
        around = len(asked.prompt) + sum(len(turn.content) for turn in asked.history)
        pieces = _pieces(text, self._policy.llm.max_chars - around)
        return [
            Case(record=record, rubric=rubric, response=piece, hazard=hazard) for piece in pieces
        ]


def _pieces(text: str, room: int) -> list[str]:
    """A text as calls take it: whole where one does, as `score` asks and cuts were found.

    Args:
        text: of any length.
        room: characters that a call has for it.
    """
    if len(text) <= room:
        return [text]
    size = max(LEAST, min(PIECE, room))
    return [text[at : at + size] for at in range(0, max(len(text) - SHARED, 1), size - SHARED)]


def _trouble(task: asyncio.Task[Outcome]) -> str | None:
    """Why a call that has ended gave no outcome, or None."""
    if task.cancelled():
        return "error:CancelledError"  # its own doing
    error = task.exception()
    if isinstance(error, BudgetReached):
        return "budget"
    if error is None:
        return None
    if isinstance(error, FlamesJudgeError):
        return "unavailable"
    say_broken(error)
    return f"error:{type(error).__name__}"


def _heard(task: asyncio.Task[Outcome]) -> None:
    """Take note of how an abandoned call ended, so that nothing is logged about it."""
    if not task.cancelled():
        task.exception()
