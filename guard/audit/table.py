"""Events as rows of a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from warnings import catch_warnings

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Engine,
    String,
    and_,
    delete,
    func,
    insert,
    inspect,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import NullType

from guard.event import Filed

READ_AT_ONCE = 200  # with texts, they may be long
TRIES, SOON_S = 8, 1.0
MOST_AT_ONCE = 500  # that are deleted: whoever records waits for it


class Table(DeclarativeBase):
    """What the database holds."""


class _Event(Table):
    __tablename__ = "flames_guard_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str] = mapped_column(index=True)
    conversation: Mapped[str] = mapped_column(index=True)
    side: Mapped[str]
    action: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    policy: Mapped[str]
    calibration: Mapped[str | None]
    body: Mapped[str]


def make(engine: Engine) -> None:
    """Make the table if it isn't there.

    Raises:
        SQLAlchemyError: that can't be done.
    """
    late = time.monotonic() + SOON_S
    for left in reversed(range(TRIES)):
        try:
            Table.metadata.create_all(engine)
        except SQLAlchemyError:  # others make it, too: one wins, and the rest fail at once
            if not left or time.monotonic() > late:
                raise
        else:
            return


def misfit(engine: Engine) -> str | None:
    """Why the table of this name that is there can't hold events; None where it can."""
    with catch_warnings(action="ignore"):  # of types that SQLAlchemy doesn't know
        if not inspect(engine).has_table(_Event.__tablename__):
            return "it is not there"
        found = {one["name"]: one for one in inspect(engine).get_columns(_Event.__tablename__)}
    for column in _Event.__table__.columns:
        if column.name not in found:
            return f"it has no `{column.name}`"
        held = found[column.name]["type"]
        if isinstance(column.type, String) and not isinstance(held, (String, NullType)):
            return f"its `{column.name}` holds no text"
    for name in found.keys() - _Event.__table__.columns.keys():
        if not found[name]["nullable"] and found[name]["default"] is None:
            return f"its `{name}` takes no null"
    return None


class Place(NamedTuple):
    """Where a reader is: behind this event, and before all that come in later."""

    at: str
    id: int
    last: int


def beginning(session: Session) -> Place:
    """Before the first event of those that are there."""
    return Place("", 0, session.scalar(select(func.max(_Event.id))) or 0)


def bodies(session: Session, place: Place) -> tuple[list[str], Place]:
    """The next events as JSON, by their time: some came in later. None of them at the end."""
    here = and_(_Event.at >= place.at, or_(_Event.at > place.at, _Event.id > place.id))
    asked = select(_Event.body, _Event.at, _Event.id).where(here, _Event.id <= place.last)
    rows = session.execute(asked.order_by(_Event.at, _Event.id).limit(READ_AT_ONCE)).all()
    if rows:
        place = place._replace(at=rows[-1].at, id=rows[-1].id)
    return [row.body for row in rows], place


def add(session: Session, lines: Sequence[str], *, new: bool) -> None:
    """Insert events.

    Args:
        session: a transaction.
        lines: events as JSON; what is none, as a torn line of a file, is passed over.
        new: some may be there already, and are not to come twice.
    """
    rows = [row for line in lines if (row := _row(line)) is not None]
    if new:
        ids = {row["request_id"] for row in rows}
        known = set(session.scalars(select(_Event.body).where(_Event.request_id.in_(ids))))
        rows = [row for row in rows if row["body"] not in known]
    if rows:
        session.execute(insert(_Event), rows)


def take_out(
    session: Session, before: datetime | None, request_id: str | None, conversation: str | None
) -> int:
    """Delete some of the events that are older, of a request, or of a conversation.

    Gives their number: `MOST_AT_ONCE` where there may be more.
    """
    wanted: list[ColumnElement[bool]] = []
    if before is not None:
        wanted.append(_Event.at < _time(before))
    if request_id is not None:
        wanted.append(_Event.request_id == request_id)
    if conversation is not None:
        wanted.append(_Event.conversation == conversation)
    if not wanted:
        return 0
    some = select(_Event.id).where(or_(*wanted)).limit(MOST_AT_ONCE)
    some = some.with_for_update()  # others instead of those that somebody else deletes just now
    return len(
        session.execute(delete(_Event).where(_Event.id.in_(some)).returning(_Event.id)).all()
    )


def _row(line: str) -> dict[str, str | None] | None:
    try:
        one = Filed.model_validate_json(line)
    except ValidationError:
        return None
    return {**one.model_dump(exclude={"at"}), "at": _time(one.at), "body": line}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
