"""What the browser gets to see of rows and rubrics, as JSON values. Pure.

Nothing here says how a row was drawn, whose answer it is, or what a judge said of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.annotate.items import Item
from judge.annotate.marks import Annotator, Event, Standing, disagreements, standings
from judge.rubric import Rubric
from judge.text import visible


def segments(text: str) -> list[dict[str, Any]]:
    """A text in pieces: `{start, text}` to be shown as it is, `{start, hidden}` a character's name.

    `start` is the piece's offset in the original; the characters of `text` follow each other there.
    """
    shown, at, start = visible(text), 0, 0
    pieces: list[dict[str, Any]] = []
    run: list[str] = []  # the characters of a piece, joined once: texts may be megabytes

    def end_run() -> None:
        if run:
            pieces.append({"start": start, "text": "".join(run)})
            run.clear()

    for offset, char in enumerate(text):
        if char == "\r" and text[offset + 1 : offset + 2] == "\n":
            end_run()
        elif char == shown[at] or char == "\r":
            start = start if run else offset
            run.append(shown[at])
            at += 1
        else:
            end_run()
            name = f"U+{ord(char):04X}"
            pieces.append({"start": offset, "hidden": name})
            at += len(name) + 2
    end_run()
    return pieces


def queue_view(items: Mapping[int, Item], events: Sequence[Event], who: Annotator) -> Any:
    """The rows in their order and where this annotator stands with each.

    An adjudicator's rows are those that annotators labelled differently.
    """
    said = standings(event for event in events if event.item in items)
    chosen = disagreements(said) if who.role == "adjudicator" else set(items)
    nothing = Standing()
    return [
        {"id": item, "dimension": items[item].dimension, **_state(said.get((item, who), nothing))}
        for item in items
        if item in chosen
    ]


def _state(now: Standing) -> dict[str, Any]:
    state = "open" if now.at is None else "skipped" if now.label is None else "done"
    return {"state": state, "label": now.label}


def standing_view(now: Standing) -> dict[str, Any]:
    """What stands for a row, by the one who marked it."""
    quotes = [span.model_dump() for span in now.quotes]
    return {**_state(now), "skip": now.skip, "note": now.note, "quotes": quotes}


def item_view(
    item: Item, rubric: Rubric, events: Sequence[Event], who: Annotator
) -> dict[str, Any]:
    """A row's texts and this annotator's marks; for an adjudicator also those of the others.

    Args:
        item: the row.
        rubric: its dimension's.
        events: all events on it.
        who: who looks at it.
    """
    said = {voice: now for (_, voice), now in standings(events).items()}
    part = rubric.subcomponent(item.subcomponent) if item.subcomponent else None
    return {
        "dimension": item.dimension,
        "subcomponent": item.subcomponent if part is None else part.name,
        "prompt": segments(item.prompt),
        "response": segments(item.response),
        "history": [{"role": t.role, "text": segments(t.content)} for t in item.history],
        "mine": standing_view(said.get(who, Standing())),
        "others": _others(said) if who.role == "adjudicator" else [],
    }


def _others(said: Mapping[Annotator, Standing]) -> list[dict[str, Any]]:
    """The annotators' marks under letters: whose they are should not decide."""
    names = sorted(who for who in said if who.role == "annotator")
    given = [said[who] for who in names if said[who].at is not None]
    return [{"letter": chr(ord("A") + n % 26), **standing_view(now)} for n, now in enumerate(given)]


def rubric_view(rubric: Rubric) -> dict[str, Any]:
    """A rubric as the guideline beside the text."""
    parts = (
        "dimension",
        "name_zh",
        "name_en",
        "version",
        "definition",
        "question",
        "levels",
        "criteria",
        "rule",
        "subcomponents",
        "rulings",
        "examples",
    )
    return rubric.model_dump(mode="json", include=set(parts))
