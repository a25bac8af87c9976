"""What stands in the store -> the lines of gold.jsonl. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from judge.annotate.items import Item
from judge.annotate.marks import Annotator, Event, Standing, standings
from judge.gold import ADJUDICATOR, GoldLabel


def gold_lines(items: Mapping[int, Item], events: Iterable[Event]) -> Iterator[str]:
    """The lines of gold.jsonl, each with its newline: one for each row and who marked it.

    Besides the fields of `GoldLabel`: `first_label` where the annotator changed the label later,
    and `quotes` where some were marked.
    """
    said = standings(event for event in events if event.item in items)
    order = {item: place for place, item in enumerate(items)}
    for (item, who), now in sorted(said.items(), key=lambda s: (order[s[0][0]], s[0][1][::-1])):
        if now.at is not None:
            yield to_json(_fields(items[item], who, now)).decode() + "\n"


def _fields(item: Item, who: Annotator, now: Standing) -> dict[str, Any]:
    skipped = f"skipped: {now.skip}" if now.skip is not None else ""
    label = GoldLabel(
        **item.key._asdict(),
        label=now.label,
        annotator=who.name if who.role == "annotator" else f"{ADJUDICATOR}:{who.name}",
        at=now.at,
        note="; ".join(filter(None, (skipped, now.note))) or None,
        design=item.design,
        inclusion=item.inclusion,
    )
    fields = label.fields()
    if now.first_label != now.label and now.first_label is not None:
        fields["first_label"] = now.first_label
    if now.quotes:
        fields["quotes"] = [
            {**span.model_dump(), "quote": item.text(span.side)[span.start : span.end]}
            for span in now.quotes
        ]
    return fields
