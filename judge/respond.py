"""Prompts -> the answers of a model under test, in a file that `score` reads.

Each answer says how it was asked for. A prompt that the provider's filter stopped becomes a row
with `response: null`; other failures are no rows, so that the next run asks again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from judge.dispatch import dispatch
from judge.errors import InputError
from judge.journal import Journal, is_torn
from judge.llm.client import CallFailed, ChatClient, Completion
from judge.llm.config import ModelConfig
from judge.records import BadRow, PromptRow
from judge.text import fingerprint, key64
from judge.verdict import FailureKind

SHOWN_BAD_ROWS = 5
_BEGINNING = b'{"id": '  # of every row that is written here
_OTHER_PROMPT = "its id has the answer to another prompt in the file of answers"


@dataclass
class RespondProgress:
    """How far the answers are."""

    bad: int = 0
    skipped: int = 0
    answered: int = 0
    filtered: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    first_bad: list[BadRow] = field(default_factory=list)
    finished: bool = False

    @property
    def done(self) -> int:
        """Prompts that are through, in whatever way."""
        return self.bad + self.skipped + self.answered + self.filtered + self.failures.total()


@dataclass(frozen=True)
class _Missed:
    failure: CallFailed


class Responding:
    """Asks one model all prompts that its file doesn't hold yet.

    Args:
        client: the model under test.
        system: its system prompt, or None.
        name: the model's name in the file.
        journal: the file of answers, held.
        now: the time, for the rows.
        observe: called after each change of the progress.
    """

    def __init__(
        self,
        client: ChatClient,
        journal: Journal,
        *,
        system: str | None,
        name: str,
        now: Callable[[], datetime],
        observe: Callable[[RespondProgress], None] = lambda _: None,
    ) -> None:
        self._client, self._journal, self._system, self._name = client, journal, system, name
        self._now, self._observe = now, observe
        self._generation = _generation(client.config, system)
        self.progress = RespondProgress()
        self._done = self._answered()

    async def respond(self, prompts: Iterable[PromptRow | BadRow], *, width: int) -> bool:
        """Ask what is not answered yet; False when the budget stopped the run.

        Raises:
            JudgeUnavailable: no prompt can be asked as things stand.
            InputError: the file can't be written.
        """
        within = await dispatch(self._pending(prompts), self._ask, self._write, width=width)
        self.progress.finished = within
        return within

    def _answered(self) -> dict[str, int]:
        """For each id that this model has a row for: 64 bits of the prompt."""
        done = {}
        for number, row in _rows(self._journal.file):
            if row["model"] != self._name:
                continue
            if row["generation"] != self._generation:
                raise InputError(
                    f"holds answers of {self._name} that were asked for with other settings",
                    file=self._journal.file,
                    line=number,
                    mend="write to another file, or give this model another --name",
                )
            done[row["id"]] = key64(str(row.get("prompt")))
        return done

    def _pending(self, prompts: Iterable[PromptRow | BadRow]) -> Iterator[PromptRow]:
        for row in prompts:
            if isinstance(row, BadRow):
                self._bad(row)
                continue
            known = self._done.get(row.id)
            if known is None:
                yield row
            elif known == key64(row.prompt):
                self.progress.skipped += 1
            else:
                mend = "give it another id, or write to another file"
                self._bad(BadRow(source=row.source, reason=_OTHER_PROMPT, mend=mend))

    def _bad(self, row: BadRow) -> None:
        self.progress.bad += 1
        if len(self.progress.first_bad) < SHOWN_BAD_ROWS:
            self.progress.first_bad.append(row)

    async def _ask(self, prompts: Sequence[PromptRow]) -> Sequence[Completion | _Missed]:
        return [await self._ask_one(prompt) for prompt in prompts]

    async def _ask_one(self, prompt: PromptRow) -> Completion | _Missed:
        try:
            return await self._client.complete(self._messages(prompt), judging=False)
        except CallFailed as error:
            return _Missed(error)

    def _messages(self, prompt: PromptRow) -> list[dict[str, str]]:
        system = [] if self._system is None else [{"role": "system", "content": self._system}]
        return [*system, *_turns(prompt)]

    def _write(self, prompts: Sequence[PromptRow], answers: Sequence[Completion | _Missed]) -> None:
        for prompt, answer in zip(prompts, answers, strict=True):
            row = self._row(prompt, answer)
            if row is not None:
                self._journal.append([json.dumps(row, ensure_ascii=False) + "\n"])
        self._observe(self.progress)

    def _row(self, prompt: PromptRow, answer: Completion | _Missed) -> Mapping[str, Any] | None:
        row = {"id": prompt.id, "model": self._name, "dimension": prompt.dimension}
        row |= {"subcomponent": prompt.subcomponent, "prompt": prompt.prompt}
        meta = {"generation": self._generation, "at": self._now().isoformat()}
        if isinstance(answer, Completion):
            self.progress.answered += 1
            spoken = {"role": "assistant", "content": answer.content}
            more = {"messages": [*_turns(prompt), spoken]} if prompt.history else {}
            used = {"finish_reason": answer.finish_reason, "usage": answer.usage.model_dump()}
            return _told(row) | {"response": answer.content} | more | used | meta
        failure = answer.failure.failure
        if failure.kind.filtered:
            self.progress.filtered += 1
            filtered = {"kind": failure.kind, "status": failure.status, "code": failure.code}
            return _told(row) | {"response": None, "filtered": filtered} | meta
        self.progress.failures[failure.kind] += 1
        return None


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _turns(prompt: PromptRow) -> list[dict[str, str]]:
    history = [{"role": turn.role, "content": turn.content} for turn in prompt.history]
    return [*history, {"role": "user", "content": prompt.prompt}]


def _generation(config: ModelConfig, system: str | None) -> dict[str, Any]:
    """How the answers are asked for: what a reader needs to ask in the same way again."""
    sampling = config.sampling.model_dump(exclude_none=True)
    told = {} if system is None else {"system": system, "system_sha256": fingerprint(system)}
    return {"model": config.model, **sampling, **told}


def check_answers(file: Path) -> None:
    """Refuse a file that holds something else, before its end is taken for a torn line.

    Raises:
        InputError: it is no file of answers, or can't be read.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise InputError("is a device or a pipe", file=file, mend="answers go to a file")
    try:
        with file.open("rb") as lines:
            first = lines.readline()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None
    torn = first.startswith(_BEGINNING) and is_torn(first)
    if first and not torn:
        _row(first, file, 1)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield number, _row(line, file, number)


def _row(line: bytes, file: Path, number: int) -> dict[str, Any]:
    """One answer, with its id, its model and how it was asked for."""
    try:
        row = json.loads(line)
        if isinstance(row["id"], str) and isinstance(row["model"], str) and row["generation"]:
            return dict(row)
    except (ValueError, KeyError, TypeError):
        pass
    problem, mend = "is not a file of answers", "give another -o"
    raise InputError(problem, file=file, line=number, mend=mend)
