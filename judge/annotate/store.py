"""The annotators' events in a database: SQLite beside the file, or PostgreSQL for a team.

Rows are known by their key and the hash of their texts; the texts themselves stay in the file.
Events are only ever added.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    URL,
    Engine,
    ForeignKey,
    UniqueConstraint,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from judge.annotate.items import Item
from judge.annotate.marks import Action, Annotator, Event, Role, Undo, not_undone
from judge.database import database_url, is_sqlite
from judge.errors import InputError
from judge.gold import RowKey

FORMAT = 1
_LOCK = 0x464C414D4553  # any number that other programs won't choose
_ACTION: TypeAdapter[Action] = TypeAdapter(Action)


class _Table(DeclarativeBase):
    pass


class _Format(_Table):
    __tablename__ = "flames_format"
    version: Mapped[int] = mapped_column(primary_key=True)


class _Item(_Table):
    __tablename__ = "flames_item"
    __table_args__ = (UniqueConstraint("model", "record_id", "dimension"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str]
    record_id: Mapped[str]
    dimension: Mapped[str]
    content_sha256: Mapped[str]


class _Event(_Table):
    __tablename__ = "flames_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("flames_item.id"), index=True)
    annotator: Mapped[str] = mapped_column(index=True)
    role: Mapped[str]
    kind: Mapped[str]
    label: Mapped[int | None]
    words: Mapped[str | None]
    quotes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    undoes: Mapped[int | None] = mapped_column(ForeignKey("flames_event.id"), unique=True)
    at: Mapped[str]


class Store:
    """The events of all annotators; safe to use from several threads and processes. Use `open`."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self.place = place

    @classmethod
    @contextmanager
    def open(cls, database: str) -> Iterator[Store]:
        """Open a database and make its tables if needed.

        Args:
            database: a file of SQLite, or a URL of SQLite or PostgreSQL.

        Raises:
            InputError: it can't be opened, or is of another format. Never shows a password.
        """
        url = database_url(database)
        place = url.database or "" if is_sqlite(url) else url.render_as_string()
        with _reporting(place):
            engine = _engine(url)
        try:
            store = cls(engine, place)
            with _reporting(place):
                store._prepare()
            yield store
        finally:
            engine.dispose()

    def _prepare(self) -> None:
        with self._changing() as session:
            _Table.metadata.create_all(session.connection())
            versions = set(session.scalars(select(_Format.version)))
            if not versions:
                session.add(_Format(version=FORMAT))
            elif versions != {FORMAT}:
                mend = "was it made by a newer flames-judge?"
                raise InputError("has a format that is not known", file=self.place, mend=mend)

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        """A transaction that no other of this kind runs beside."""
        with Session(self._engine) as session, session.begin():
            if self._engine.dialect.name == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield session

    def register(self, items: Sequence[Item]) -> dict[int, Item]:
        """The rows by their number here; rows that are new get one, in their order.

        Raises:
            InputError: a row's texts are not those that stand here under its key.
        """
        with _reporting(self.place), self._changing() as session:
            known = {_key(row): row for row in session.scalars(select(_Item))}
            new = [_row(item) for item in items if item.key not in known]
            for row in new:
                session.add(row)
                session.flush()
            known |= {_key(row): row for row in new}
            for item in items:
                if known[item.key].content_sha256 != item.content_sha256:
                    problem = f"the record {item.record_id!r} has other texts than those labelled"
                    mend = "label the changed file with another --database"
                    raise InputError(problem, file=self.place, mend=mend)
            return {known[item.key].id: item for item in items}

    def check_role(self, who: Annotator) -> None:
        """Keep annotators blind: who has seen their labels as adjudicator is none, and vice versa.

        Raises:
            InputError: this name has marked in another role.
        """
        asked = select(_Event.id).where(_Event.annotator == who.name, _Event.role != who.role)
        with _reporting(self.place), Session(self._engine) as session:
            other = session.scalars(asked.limit(1)).first()
        if other is not None:
            was = "annotator" if who.role == "adjudicator" else "adjudicator"
            problem = f"{who.name!r} has marked here as {was}, and can't be {who.role} too"
            raise InputError(problem, file="--annotator", mend="give another name")

    def add(self, item: int, who: Annotator, action: Action, at: datetime) -> Event:
        """Save one event; it is on disk when this returns."""
        with self._changing() as session:
            return _event(_added(session, item, who, action, at))

    def undo(self, who: Annotator, expected: int, items: Mapping[int, Item], at: datetime) -> bool:
        """Take back the annotator's last mark on these rows, if it is the `expected` one."""
        with self._changing() as session:
            last = _last(_events(session, who=who), items)
            if last is None or last.id != expected:
                return False
            _added(session, last.item, who, Undo(undoes=last.id), at)
            return True

    def last(self, who: Annotator, items: Mapping[int, Item]) -> Event | None:
        """The annotator's last mark on these rows that was not taken back."""
        with Session(self._engine) as session:
            return _last(_events(session, who=who), items)

    def events(self, *, item: int | None = None, who: Annotator | None = None) -> list[Event]:
        """All events in their order; only those of one row or one annotator if asked."""
        with Session(self._engine) as session:
            return _events(session, item=item, who=who)


def _engine(url: URL) -> Engine:
    if not is_sqlite(url):
        try:
            return create_engine(url, pool_pre_ping=True)
        except ImportError:
            mend = "pip install 'flames-judge[postgres]'"
            raise InputError("PostgreSQL needs psycopg", file="--database", mend=mend) from None
    file = Path(url.database or "")
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(url, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # a mark shown as saved survives a power cut
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def _reporting(place: str) -> Iterator[None]:
    """What a database refuses is the user's to mend; its message may hold a URL, so it is cut."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", error)).strip().split("\n")[0]
        raise InputError(f"the database can't be used: {cause}", file=place) from None
    except OSError as error:
        raise InputError(f"can't be opened: {error.strerror}", file=place) from None


def _key(row: _Item) -> RowKey:
    return RowKey(row.model or None, row.record_id, row.dimension)


def _row(item: Item) -> _Item:
    names = {**item.key._asdict(), "model": item.model or ""}  # null would not be unique
    return _Item(**names, content_sha256=item.content_sha256)


def _added(session: Session, item: int, who: Annotator, action: Action, at: datetime) -> _Event:
    fields = action.model_dump(mode="json")
    words = fields.pop("reason", None) or fields.pop("text", None)
    row = _Event(
        item_id=item, annotator=who.name, role=who.role, at=at.isoformat(), words=words, **fields
    )
    session.add(row)
    session.flush()
    return row


def _events(
    session: Session, *, item: int | None = None, who: Annotator | None = None
) -> list[Event]:
    asked = select(_Event).order_by(_Event.id)
    if item is not None:
        asked = asked.where(_Event.item_id == item)
    if who is not None:
        asked = asked.where(_Event.annotator == who.name, _Event.role == who.role)
    return [_event(row) for row in session.scalars(asked)]


_WORDS = {"skip": "reason", "note": "text"}
_FIELD = {"label": "label", "quotes": "quotes", "undo": "undoes"}


def _event(row: _Event) -> Event:
    fields: dict[str, Any] = {"kind": row.kind}
    if row.kind in _WORDS:
        fields[_WORDS[row.kind]] = row.words or ""
    else:
        fields[_FIELD[row.kind]] = getattr(row, _FIELD[row.kind])
    role: Role = "adjudicator" if row.role == "adjudicator" else "annotator"
    action = _ACTION.validate_python(fields)
    return Event(row.id, row.item_id, Annotator(row.annotator, role), action, row.at)


def _last(events: Iterable[Event], items: Mapping[int, Item]) -> Event | None:
    marks = [event for event in not_undone(list(events)) if event.item in items]
    return marks[-1] if marks else None
