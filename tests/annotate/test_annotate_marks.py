"""What stands after annotators' events, and what of a text is shown where."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from judge.annotate.items import Item
from judge.annotate.marks import (
    Action,
    Annotator,
    Event,
    GiveLabel,
    MarkQuotes,
    Skip,
    Span,
    Undo,
    WriteNote,
    disagreements,
    standing,
    standings,
)
from judge.annotate.view import item_view, queue_view, segments
from judge.text import visible
from tests.cases import rubrics

LI, WANG, CHEN = Annotator("li"), Annotator("wang"), Annotator("chen", "adjudicator")


def events(*actions: Action, who: Annotator = LI, item: int = 1, start: int = 1) -> list[Event]:
    return [Event(n, item, who, action, f"t{n}") for n, action in enumerate(actions, start)]


def test_the_last_label_counts_and_the_first_is_remembered() -> None:
    """Agreement between annotators is measured on first marks."""
    now = standing(events(GiveLabel(label=1), GiveLabel(label=3)))
    assert (now.label, now.first_label, now.at) == (3, 1, "t2")


def test_a_label_that_was_undone_is_not_the_first() -> None:
    """A slip of the finger, taken back, was no mark."""
    now = standing(events(GiveLabel(label=1), Undo(undoes=1), GiveLabel(label=3)))
    assert (now.label, now.first_label) == (3, 3)


def test_undo_brings_back_what_was_before() -> None:
    """A replaced label, note or set of quotes stands again."""
    quotes = (Span(side="response", start=0, end=2),)
    before = [GiveLabel(label=2), WriteNote(text="a"), MarkQuotes(quotes=quotes)]
    after = [WriteNote(text="b"), Undo(undoes=4), MarkQuotes(quotes=()), Undo(undoes=6)]
    now = standing(events(*before, *after, Skip(reason="?"), Undo(undoes=8)))
    assert now == standing(events(*before))


def test_a_skip_takes_the_label_back_and_a_label_the_skip() -> None:
    """A row is labelled or skipped, never both."""
    skipped = standing(events(GiveLabel(label=3), Skip(reason="unclear")))
    assert (skipped.label, skipped.skip) == (None, "unclear")
    labelled = standing(events(Skip(reason="unclear"), GiveLabel(label=3)))
    assert (labelled.label, labelled.skip) == (3, None)


def test_annotators_disagree_where_their_present_labels_differ() -> None:
    """Skips are no labels, and an adjudicator is no annotator."""
    said = standings(
        [
            *events(GiveLabel(label=3), item=1),
            *events(GiveLabel(label=1), item=1, who=WANG, start=2),
            *events(GiveLabel(label=3), item=2, start=3),
            *events(GiveLabel(label=1), item=2, who=CHEN, start=4),
            *events(GiveLabel(label=3), item=3, start=5),
            *events(Skip(reason="?"), item=3, who=WANG, start=6),
            *events(GiveLabel(label=3), item=4, start=7),
            *events(GiveLabel(label=1), GiveLabel(label=3), item=4, who=WANG, start=8),
        ]
    )
    assert disagreements(said) == {1}


def item() -> Item:
    return Item(record_id="r", model="secret", dimension="Legality", prompt="a", response="b")


def test_an_annotator_sees_no_mark_of_another() -> None:
    """Labels are independent, or agreement means nothing."""
    said = events(GiveLabel(label=1), WriteNote(text="wang's"), who=WANG)
    seen = item_view(item(), rubrics()["Legality"], said, LI)
    assert (seen["others"], seen["mine"]["state"]) == ([], "open")
    assert "wang" not in str(seen)
    assert queue_view({1: item()}, said, LI)[0]["label"] is None


def test_an_adjudicator_sees_labels_and_notes_under_letters() -> None:
    """What was said decides, and not who said it."""
    said = [
        *events(GiveLabel(label=1), WriteNote(text="x")),
        *events(GiveLabel(label=3), who=WANG, start=3),
    ]
    seen = item_view(item(), rubrics()["Legality"], said, CHEN)
    told = [(voice["letter"], voice["label"], voice["note"]) for voice in seen["others"]]
    assert told == [("A", 1, "x"), ("B", 3, "")]
    assert "wang" not in str(seen)


def test_megabytes_are_cut_into_pieces_while_an_annotator_waits() -> None:
    """The work grows with the text, and not with its square: that took nine minutes."""
    spent = {}
    for size in (50_000, 400_000):
        start = time.thread_time()
        assert segments("大" * size) == [{"start": 0, "text": "大" * size}]
        spent[size] = time.thread_time() - start
    assert spent[400_000] < 30 * spent[50_000] + 0.1


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\u200b\u202e⟦U+B⟧😀"))))
def test_the_pieces_of_a_text_show_it_whole_at_their_places(text: str) -> None:
    """What is shown is what `visible` shows, and a piece's start leads back to the original."""
    pieces = segments(text)
    shown = "".join(p["text"] if "text" in p else f"⟦{p['hidden']}⟧" for p in pieces)
    assert shown == visible(text)
    for piece in pieces:
        if "text" in piece:
            there = text[piece["start"] : piece["start"] + len(piece["text"])]
            assert there.replace("\r", "\n") == piece["text"]
        else:
            assert piece["hidden"] == f"U+{ord(text[piece['start']]):04X}"
