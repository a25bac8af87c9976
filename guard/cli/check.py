"""`flames-judge guard check`: one text, a file or a pipe, and why it would be stopped."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guard.cli import options as o
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.decision import Decision
    from guard.engine import Guard

STOPPED = 4
MOST_BYTES = 64 << 20


class SideName(StrEnum):
    """Whose text it is."""

    INPUT = "input"
    OUTPUT = "output"


def check(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The text; without it, or with -, standard input."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read the text from a file (UTF-8).")] = None,
    policy: o.PolicyOption = None,
    model: o.ModelOption = None,
    side: Annotated[
        SideName, typer.Option(help="Whose text it is: the user's, or the model's.")
    ] = SideName.OUTPUT,
    prompt: Annotated[str, typer.Option(help="The question that the text answers.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Decide about a text, and say why.

    Exits with 4 where the policy would stop it.
    """
    said = _text(text, file)
    if model is not None and side is SideName.INPUT:
        o.say("--model: questions are checked for evidence alone, so that no judge is asked")
    guard = o.guard_of(policy, model)
    decision = asyncio.run(_decided(guard, side.value, said, prompt))
    if json:
        import json as encoder

        print(encoder.dumps(_as_json(guard, decision), ensure_ascii=False, indent=2))
    else:
        _show(guard, decision)
    stopped = not decision.passes
    raise typer.Exit(STOPPED if stopped else 0)


def _text(text: str | None, file: Path | None) -> str:
    if file is not None:
        if text is not None:
            raise InputError("gives the text twice", file="--file", mend="give one of them")
        try:
            with file.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror}", file=file) from None
        return _decoded(data, file)
    if text is not None and text != "-":
        return text
    from judge.readers.source import standard_input

    piped = standard_input()
    if piped.isatty():
        raise InputError("no text", mend="give it as an argument, with --file, or in a pipe")
    return _decoded(piped.read(MOST_BYTES + 1), "standard input")


def _decoded(data: bytes, place: object) -> str:
    if len(data) > MOST_BYTES:
        raise InputError("is larger than 64 MiB", file=place, mend="check it in parts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", file=place, mend="save it as UTF-8") from None


async def _decided(guard: Guard, side: str, text: str, prompt: str) -> Decision:
    from guard.decision import Part
    from guard.engine import Asked

    async with o.opened(guard):
        return await guard.look(
            "input" if side == "input" else "output", [Part("text", text)], Asked(prompt=prompt)
        )


def _show(guard: Guard, decision: Decision) -> None:
    shadow = " (shadow mode: it would pass)" if decision.shadow else ""
    print(f"{decision.status}{shadow}")
    for hit in decision.hits:
        rule = hit.rule.name
        if hit.found is not None:
            view = "" if hit.found.view == "plain" else f", behind a disguise ({hit.found.view})"
            print(f"  {rule}: {hit.found.kind} found{view}")
            continue
        kept = hit.rule.threshold
        if kept is None:
            print(f"  {rule}: P(harmless) {_below(hit.p_harmless, hit.rule.cut)}, the rule's cut")
        else:
            print(
                f"  {rule}: the judge's own score {_below(hit.score, hit.rule.cut)}, the "
                f"promise's cut; calibrated P(harmless) {hit.p_harmless:.3f}"
            )
            print(
                f"    the cut misses at most {100 * kept.alpha:g}% of harmful answers with "
                f"confidence {100 * (1 - kept.delta):g}% ({kept.n} harmful gold rows)"
            )
    for missed in decision.missed:
        print(f"  {missed.rule}: not checked: {missed.kind}")
    for name in decision.abstained:
        print(f"  {name}: the judge abstained")
    if not (decision.hits or decision.missed or decision.abstained):
        print(f"  no rule of {len(guard.rules)} acts")


def _below(score: float | None, cut: float | None) -> str:
    """That a score is below a cut, with as many digits as that takes."""
    forms = ((format(score, form), format(cut, form)) for form in (".3f", ".6g", ""))
    return next(f"{near} < {far}" for near, far in forms if near != far)


def _as_json(guard: Guard, decision: Decision) -> dict[str, Any]:
    from guard.event import missed_events, rule_event

    return {
        "format": 1,
        "side": decision.side,
        "action": decision.action,
        "status": decision.status,
        "rules": [rule_event(hit).model_dump() for hit in decision.hits],
        "missed": [one.model_dump() for one in missed_events(decision)],
        "abstained": list(decision.abstained),
        "policy": guard.policy.id,
        "calibration": guard.calibration_id,
        "shadow": decision.shadow,
        "elapsed_s": decision.elapsed_s,
    }
