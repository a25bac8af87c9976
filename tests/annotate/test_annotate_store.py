"""The store keeps every event, in SQLite and PostgreSQL alike, for many writers at once."""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from judge.annotate.items import Item
from judge.annotate.marks import Annotator, GiveLabel, MarkQuotes, Skip, Span, Undo, WriteNote
from judge.annotate.store import Store
from judge.database import database_url
from judge.errors import InputError
from tests.annotate.conftest import ticking
from tests.databases import postgresql

__all__ = ["postgresql"]

LI, WANG = Annotator("李"), Annotator("wang")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "marks.sqlite")
    url: str = request.getfixturevalue("postgresql")(f"db{abs(hash(request.node.name))}")
    return url


def test_every_event_is_kept_and_read_back(database: str, items: list[Item]) -> None:
    """Labels, skips, notes, quotes and undos are all there, also after opening again."""
    clock = ticking()
    quotes = (Span(side="response", start=1, end=3),)
    actions = [
        GiveLabel(label=1),
        Skip(reason="看不懂"),
        WriteNote(text="😀"),
        WriteNote(text=""),
        MarkQuotes(quotes=quotes),
        MarkQuotes(quotes=()),
    ]
    with Store.open(database) as store:
        known = store.register(items)
        assert list(known.values()) == items
        first, *_ = known
        saved = [store.add(first, LI, action, clock()) for action in actions]
        assert store.undo(LI, saved[-1].id, known, clock())
    with Store.open(database) as store:
        assert store.register(items) == known
        events = store.events()
    assert events[:-1] == saved
    assert events[-1].action == Undo(undoes=saved[-1].id)
    assert [event.id for event in events] == sorted(event.id for event in events)


def test_undo_takes_back_the_last_own_mark_on_these_rows_only(
    database: str, items: list[Item]
) -> None:
    """Never another annotator's or file's, and never a mark that the page hasn't seen."""
    clock = ticking()
    with Store.open(database) as store:
        known = store.register(items)
        first, second, third = known
        mine = store.add(first, LI, GiveLabel(label=1), clock())
        store.add(third, LI, GiveLabel(label=1), clock())
        other = store.add(second, WANG, GiveLabel(label=3), clock())
        these = {first: known[first], second: known[second]}
        assert not store.undo(LI, other.id, these, clock())
        assert store.last(LI, these) == mine
        assert store.undo(LI, mine.id, these, clock())
        assert not store.undo(LI, mine.id, these, clock())
        assert store.last(LI, these) is None


def test_two_annotators_write_at_once_and_nothing_is_lost(database: str, items: list[Item]) -> None:
    """Two processes may hold the same database, as two stores do here."""
    clock = ticking()

    def work(who: Annotator) -> int:
        with Store.open(database) as store:
            known = store.register(items)
            for _ in range(25):
                for item in known:
                    store.add(item, who, GiveLabel(label=3), clock())
            return len(known)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [LI, WANG])) == [3, 3]
    with Store.open(database) as store:
        by = [event.who for event in store.events()]
    assert (by.count(LI), by.count(WANG)) == (75, 75)


def test_a_row_whose_text_changed_is_refused(database: str, items: list[Item]) -> None:
    """A label belongs to the text that was read."""
    with Store.open(database) as store:
        store.register(items)
        changed = items[0].model_copy(update={"response": "别的回复"})
        with pytest.raises(InputError, match="other texts"):
            store.register([changed, *items[1:]])


def test_an_adjudicator_is_never_an_annotator_too(store: Store, items: list[Item]) -> None:
    """Who has seen others' labels can't label blind any more."""
    first = next(iter(store.register(items)))
    store.add(first, LI, GiveLabel(label=1), ticking()())
    store.check_role(LI)
    store.check_role(Annotator("wang", "adjudicator"))
    with pytest.raises(InputError, match="has marked here as annotator"):
        store.check_role(Annotator("李", "adjudicator"))


def test_a_database_of_a_later_format_is_refused(tmp_path: Path) -> None:
    """Guessing at what a newer version means by its tables would spoil them."""
    file = tmp_path / "marks.sqlite"
    with Store.open(str(file)):
        pass
    assert file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE flames_format SET version = 2")
    connection.close()
    with pytest.raises(InputError, match="format"), Store.open(str(file)):
        pass


@pytest.mark.parametrize(
    ("database", "problem"),
    [
        ("mysql://u:hunter2@h/d", "neither"),
        ("sqlite://", "neither"),
        ("://", "not a database URL"),
        ("missing/folder/x.sqlite", "No such file"),
        ("postgresql://u:hunter2@127.0.0.1:1/d", "can't be used"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(
    folder: Path, database: str, problem: str
) -> None:
    """What is wrong is said, and no secret with it."""
    with pytest.raises(InputError, match=problem) as told, Store.open(database):
        pass
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A wrong name on the command line destroys nothing."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to have a header" * 50)
    before = file.read_bytes()
    with pytest.raises(InputError, match="can't be used"), Store.open(str(file)):
        pass
    assert file.read_bytes() == before


def test_postgresql_is_spoken_to_by_psycopg() -> None:
    """Users write the URL that every other tool takes."""
    assert database_url("postgres://u@h/d").drivername == "postgresql+psycopg"


def test_postgresql_without_psycopg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, since few need it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        pytest.raises(InputError, match=r"flames-judge\[postgres\]"),
        Store.open("postgresql://u@h/d"),
    ):
        pass
