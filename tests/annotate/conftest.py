"""Rows to label, a store, the application behind a real server, and a real browser before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from judge.annotate.app import Work, annotate_app
from judge.annotate.items import Item, read_items
from judge.annotate.marks import Annotator, Role
from judge.annotate.serve import links, server_for
from judge.annotate.store import Store
from judge.listening import LOOPBACK, Hosts, listen
from tests.annotate.rows import to_label, write_rows
from tests.cases import rubrics

CHROMIUM = Path("/usr/bin/chromium")


def ticking() -> Callable[[], datetime]:
    """A clock that is a second later each time it is asked."""
    seconds = count()
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return lambda: start + timedelta(seconds=next(seconds))


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """The rows of `to_label`, in the order they are shown."""
    return read_items(write_rows(tmp_path / "to_label.jsonl", *to_label()), rubrics())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in SQLite."""
    with Store.open(str(tmp_path / "marks.sqlite")) as opened:
        yield opened


@dataclass(frozen=True)
class Site:
    """The annotators' page as it runs: its work, and the link of each annotator."""

    work: Work
    links: dict[str, str]
    stop: Callable[[], None]

    def labels(self, name: str) -> dict[str, list[int | None]]:
        """What this annotator's labels were, by record, oldest first, undone ones too."""
        found: dict[str, list[int | None]] = {}
        for event in self.work.store.events():
            if event.who.name == name and event.action.kind == "label":
                record = self.work.items[event.item].record_id
                found.setdefault(record, []).append(event.action.label)
        return found


Serve = Callable[..., Site]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve these rows to annotators of these names, in SQLite unless another database is given."""
    with ExitStack() as stack:

        def served(
            *names: str,
            rows: list[dict[str, Any]] | None = None,
            role: Role = "annotator",
            database: str | None = None,
        ) -> Site:
            file = write_rows(tmp_path / "rows.jsonl", *(to_label() if rows is None else rows))
            opened = Store.open(database or str(tmp_path / "marks.sqlite"))
            store = stack.enter_context(opened)
            work = Work(store.register(read_items(file, rubrics())), rubrics(), store, ticking())
            return stack.enter_context(running(work, [Annotator(name, role) for name in names]))

        yield served


@contextmanager
def running(work: Work, people: list[Annotator]) -> Iterator[Site]:
    """The application behind a real server, on a free port of loopback."""
    tokens = {f"secret-{number}": who for number, who in enumerate(people)}
    listening = listen("127.0.0.1", 0)
    server = server_for(annotate_app(work, tokens, Hosts(LOOPBACK)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join()
        listening.close()

    urls = links(tokens, "127.0.0.1", listening)
    try:
        yield Site(work, {who.name: url for who, url in zip(people, urls, strict=True)}, stop)
    finally:
        stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real headless Chromium."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: install Debian's chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"]
    flags += ["--disable-background-networking", "--disable-sync", "--no-sandbox"]
    flags += ["--renderer-process-limit=1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()
