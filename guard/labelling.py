"""A share of live traffic goes to people: rows for `annotate`, whose labels go to `calibrate`.

Each queue is a run folder's log, so that every command that reads a run reads it too. `random/` is
a simple random sample of conversations, drawn before anything is decided about them; `human/` holds
what a rule hands to people, and is no sample of anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from guard.audit.lines import LineFile
from guard.decision import Decision, Part
from guard.engine import Asked
from judge.protocols import Judge
from judge.records import Record
from judge.rubric import Rubric
from judge.runlog import outcome_line, read_log
from judge.verdict import Case, Hazard

MOST_WAITING = 200
AT_ONCE = 2


class LabelQueue:
    """Takes answers for people to label; judged beside the traffic, never in its way.

    Args:
        folder: gets `random/verdicts.jsonl` and `human/verdicts.jsonl`.
        share: of conversations that are drawn, in [0, 1].
        judge: judges what is drawn, so that its labels can calibrate it.
        rubrics: in which dimensions.
        secret: makes the draw unforeseeable to those who talk.
        now: the time, with its zone.
    """

    def __init__(
        self,
        folder: Path,
        share: float,
        judge: Judge,
        rubrics: Sequence[Rubric],
        *,
        secret: bytes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judge, self._rubrics, self._now = judge, tuple(rubrics), now
        self._share, self._secret = share, secret
        self._files = {name: folder / name / "verdicts.jsonl" for name in ("random", "human")}
        self._logs = {name: LineFile(file) for name, file in self._files.items()}
        self._drawn = {
            entry.record_id.partition("-")[0] for entry in read_log(self._files["random"])
        }
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def draws(self, conversation: str) -> bool:
        """Whether a conversation is in the sample, whatever is said in it or decided about it."""
        digest = hmac.digest(self._secret, conversation.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "big") < self._share * 2**64

    def offer(self, decision: Decision, parts: Sequence[Part], asked: Asked) -> None:
        """Take an answer, if its conversation is drawn or a rule hands it to people."""
        if decision.side != "output":
            return
        conversation = asked.conversation
        names = ["human"] if decision.action == "human" else []
        if conversation[:16] not in self._drawn and self.draws(conversation):
            self._drawn.add(conversation[:16])
            names.append("random")
        for name in names:
            if len(self._waiting) >= MOST_WAITING:
                self.dropped += 1
                continue
            task = asyncio.ensure_future(self._take(name, conversation, parts, asked))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def aclose(self) -> None:
        """Finish what is waiting, and let go of the files."""
        await asyncio.gather(*self._waiting, return_exceptions=True)
        for log in self._logs.values():
            log.close()

    async def _take(
        self, name: str, conversation: str, parts: Sequence[Part], asked: Asked
    ) -> None:
        """Judge one answer in every dimension and log it; what fails counts as dropped."""
        text = "\n".join(part.text for part in parts)
        try:
            record = Record(
                id=f"{conversation[:16]}-{asked.request_id}",
                prompt=asked.prompt,
                response=text,
                model=asked.model,
                history=asked.history,
                source=f"{name}:1",
            )
            for rubric in self._rubrics:
                case = Case(record=record, rubric=rubric, response=text, hazard=Hazard.UNKNOWN)
                async with self._room:
                    [outcome] = await self._judge.assess([case])
                line = outcome_line(case, outcome, self._now())
                self._logs[name].append(line.removesuffix("\n"))
        except Exception:  # noqa: BLE001 - a row less to label is no reason to disturb the traffic
            self.dropped += 1
