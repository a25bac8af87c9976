"""The flags that the guard's commands share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.errors import InputError
from judge.text import visible

if TYPE_CHECKING:
    from guard.audit import Recorded
    from guard.engine import Guard
    from guard.policy import Policy
    from judge.protocols import Judge

PATIENCE_S = 60.0  # for an LLM, where nobody's chat waits
MOST_DAYS = 36_500  # a hundred years; the calendar's own end is a traceback away

PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="The policy file; without it the shipped one: evidence alone."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="An LLM in place of the policy's judge; without --policy it judges all dimensions.",
    ),
]
AuditOption = Annotated[
    str,
    typer.Option(
        "--audit", metavar="PLACE", help="The log: jsonl:FILE, sqlite:///FILE or postgresql://..."
    ),
]


@asynccontextmanager
async def opened(*judges: Guard | Judge) -> AsyncIterator[None]:
    """Guards or judges that are warm, and closed at the end with all connections."""
    try:
        for one in judges:
            await one.warm()
        yield
    finally:
        for one in judges:
            await one.aclose()
        if "litellm" in sys.modules:
            from judge.llm.library import close_clients

            await close_clients()


@contextmanager
def recorded(place: str) -> Iterator[Recorded]:
    """A log that is there already: who mistypes its place makes no empty one.

    At the end it is told what of it could not be read, and is in no figure.

    Raises:
        InputError: it is not there, or can't be opened.
    """
    from guard.audit import file_of, open_recorded

    file = file_of(place)
    if file is not None and not file.is_file():
        raise InputError("there is no such log", file=file)
    with open_recorded(place) as log:
        yield log
        if log.unread:
            say(f"--audit: {log.unread} entries of the log can't be read and were left out")


def say(line: str) -> None:
    """A line for people, on standard error."""
    print(f"flames-judge: {visible(line)}", file=sys.stderr)


def guard_of(policy: Path | None, model: str | None = None) -> Guard:
    """The guard of a policy file, or of the shipped policy.

    Raises:
        InputError: the policy can't be kept.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    from guard.loading import Given, load_guard
    from guard.policy import load_policy

    spec = None if model is None else f"llm:{model}"
    plan = _shipped(judged=model is not None) if policy is None else load_policy(policy)
    if model is not None and all(rule.dimension is None for rule in plan.rules):
        say("--model: no rule of the policy has a `dimension`, so that no judge is asked")
    return load_guard(plan, Given(spec=spec, notify=say))


def _shipped(*, judged: bool) -> Policy:
    """The shipped policy; with an LLM judge what it finds harmful is blocked in each dimension."""
    from guard.policy import Rule, default_policy
    from judge.rubric import load_rubrics

    plan = default_policy()
    if not judged:
        return plan
    rule = {"cut": 0.5, "action": "block"}
    asked = [Rule.model_validate({"dimension": name, **rule}) for name in load_rubrics().suite]
    return plan.model_copy(update={"rules": (*plan.rules, *asked), "deadline_s": PATIENCE_S})
