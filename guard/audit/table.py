"""Events as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import ColumnElement, delete, insert, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from guard.event import GuardEvent


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


def bodies(session: Session) -> Iterator[str]:
    """The events as JSON, by their time: some came in later."""
    asked = select(_Event.body).order_by(_Event.at, _Event.id)
    yield from session.scalars(asked.execution_options(yield_per=1000))


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
    """Delete events that are older, of a request, or of a conversation; gives their number."""
    wanted: list[ColumnElement[bool]] = []
    if before is not None:
        wanted.append(_Event.at < _time(before))
    if request_id is not None:
        wanted.append(_Event.request_id == request_id)
    if conversation is not None:
        wanted.append(_Event.conversation == conversation)
    if not wanted:
        return 0
    return len(session.execute(delete(_Event).where(or_(*wanted)).returning(_Event.id)).all())


def _row(line: str) -> dict[str, str | None] | None:
    try:
        one = GuardEvent.model_validate_json(line)
    except ValidationError:
        return None
    return {
        "at": _time(one.at),
        "request_id": one.request_id,
        "conversation": one.conversation,
        "side": one.side,
        "action": one.action,
        "status": one.status,
        "policy": one.policy,
        "calibration": one.calibration,
        "body": line,
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
