"""What annotators do, as events that are only ever added, and what stands after them. Pure.

An undo takes back an event, and is an event itself. The first label that was not taken back is
what agreement is measured on; the last one is what counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from judge.rubric import Label
from judge.verdict import Side

Role = Literal["annotator", "adjudicator"]


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Words = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_storable)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Value):
    """A marked quote: offsets in characters (code points) into the original text."""

    side: Side
    start: int = Field(ge=0)
    end: int = Field(gt=0)


class GiveLabel(_Value):
    """The row has this label."""

    kind: Literal["label"] = "label"
    label: Label


class Skip(_Value):
    """The row can't be labelled, and why."""

    kind: Literal["skip"] = "skip"
    reason: Words = Field(min_length=1, max_length=1000)


class WriteNote(_Value):
    """A note on the row replaces the one before."""

    kind: Literal["note"] = "note"
    text: Words = Field(max_length=4000)


class MarkQuotes(_Value):
    """These quotes replace those before."""

    kind: Literal["quotes"] = "quotes"
    quotes: tuple[Span, ...] = Field(max_length=50)


class Undo(_Value):
    """The event `undoes` is taken back."""

    kind: Literal["undo"] = "undo"
    undoes: int


Mark = Annotated[GiveLabel | Skip | WriteNote | MarkQuotes, Field(discriminator="kind")]
Action = GiveLabel | Skip | WriteNote | MarkQuotes | Undo


class Annotator(NamedTuple):
    """Who marks, and as what."""

    name: str
    role: Role = "annotator"


class Event(NamedTuple):
    """One thing that an annotator did; ids grow with time, `at` is ISO 8601 in UTC."""

    id: int
    item: int
    who: Annotator
    action: Action
    at: str


class Standing(NamedTuple):
    """What an annotator says of a row now; `at` is when the label or the skip was given."""

    label: Label | None = None
    first_label: Label | None = None
    skip: str | None = None
    note: str = ""
    quotes: tuple[Span, ...] = ()
    at: str | None = None


Standings = Mapping[tuple[int, Annotator], Standing]


def not_undone(events: Sequence[Event]) -> list[Event]:
    """The marks among the events, in their order, without those that were taken back."""
    undone = {event.action.undoes for event in events if isinstance(event.action, Undo)}
    return [e for e in events if not isinstance(e.action, Undo) and e.id not in undone]


def standing(events: Iterable[Event]) -> Standing:
    """What stands after one annotator's events on one row, oldest first."""
    now = Standing()
    for event in not_undone(list(events)):
        now = _after(now, event)
    return now


def _after(now: Standing, event: Event) -> Standing:
    match event.action:
        case GiveLabel(label=label):
            first = now.first_label or label
            return now._replace(label=label, first_label=first, skip=None, at=event.at)
        case Skip(reason=reason):
            return now._replace(label=None, skip=reason, at=event.at)
        case WriteNote(text=text):
            return now._replace(note=text)
        case MarkQuotes(quotes=quotes):
            return now._replace(quotes=quotes)
        case Undo():
            raise AssertionError("an undo does not stand")


def standings(events: Iterable[Event]) -> Standings:
    """What stands for each row and annotator."""
    voices: dict[tuple[int, Annotator], list[Event]] = defaultdict(list)
    for event in events:
        voices[event.item, event.who].append(event)
    return {voice: standing(said) for voice, said in voices.items()}


def disagreements(said: Standings) -> set[int]:
    """The rows to which annotators gave different labels."""
    labels: dict[int, set[Label]] = defaultdict(set)
    for (item, who), now in said.items():
        if who.role == "annotator" and now.label is not None:
            labels[item].add(now.label)
    return {item for item, given in labels.items() if len(given) > 1}
