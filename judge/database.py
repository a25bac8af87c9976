"""What users may give as a database: a file of SQLite, or a URL of SQLite or PostgreSQL."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from judge.errors import InputError


def database_url(database: str, flag: str = "--database") -> URL:
    """A database's URL from what the user gave.

    Args:
        database: a file, or a URL.
        flag: the flag that it was given with.

    Raises:
        InputError: it is no URL, or one of another kind of database. Never shows a password.
    """
    if "://" not in database:
        return URL.create("sqlite", database=database)
    mend = "a file, sqlite:///FILE, or postgresql://USER@HOST/NAME"
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        raise InputError("is not a database URL", file=flag, mend=mend) from None
    kind = url.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or not url.database:
        raise InputError("is neither SQLite nor PostgreSQL", file=flag, mend=mend)
    return url


def is_sqlite(url: URL) -> bool:
    """Whether it is a file of SQLite."""
    return url.get_backend_name() == "sqlite"
