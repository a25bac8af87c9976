"""`flames-judge annotate`: people label rows in their browser; their labels become gold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli.options import RubricsOption, plain_host
from judge.errors import InputError

if TYPE_CHECKING:
    from judge.annotate.app import Work
    from judge.annotate.items import Item
    from judge.annotate.marks import Annotator
    from judge.annotate.store import Store
    from judge.rubric import Rubrics

MOST_NAME = 64


def annotate(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Rows to label, as `sample` draws them; or a run."),
    ],
    annotator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Who labels; may be repeated: each gets a link."),
    ] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Decide the rows on which annotators differ.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="GOLD", help="Write gold.jsonl and end; - prints it.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="FLAMES_JUDGE_DATABASE",
            help="File of SQLite, or postgresql://USER@HOST/NAME; beside FILE without it.",
        ),
    ] = None,
    rubrics: RubricsOption = None,
    host: Annotated[
        str,
        typer.Option(
            callback=plain_host,
            help="Where to listen; others than loopback are reached by the network.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    open: Annotated[bool, typer.Option("--open", help="Open the link in a browser.")] = False,
) -> None:
    """Label rows in the browser.

    Blind, by keyboard, every mark saved at once; Ctrl-C ends it.
    """
    from judge.annotate.items import read_items
    from judge.annotate.store import Store
    from judge.rubric import load_rubrics

    who = _annotators(annotator or [], adjudicate)
    if not who and export is None:
        raise InputError("is missing", file="--annotator", mend="say who labels")
    loaded = load_rubrics(rubrics)
    items = read_items(file, loaded)
    with Store.open(database or str(_beside(file))) as store:
        if export is not None:
            _export(items, store, export)
            return
        for one in who:
            store.check_role(one)
        _serve(_work(items, loaded, store), who, (host, port), open)


def _beside(file: Path) -> Path:
    return file / "annotations.sqlite" if file.is_dir() else file.with_suffix(".annotations.sqlite")


def _annotators(names: Sequence[str], adjudicate: bool) -> list[Annotator]:
    from judge.annotate.marks import Annotator
    from judge.gold import ADJUDICATOR
    from judge.text import visible

    for name in names:
        problem = ""
        if not name.strip() or name != visible(name).strip() or "\n" in name or "\t" in name:
            problem = "is not a name"
        elif len(name) > MOST_NAME:
            problem = f"is longer than {MOST_NAME} characters"
        elif name.split(":")[0].strip().lower() == ADJUDICATOR:
            problem = f"{ADJUDICATOR!r} is no annotator's name"
        elif names.count(name) > 1:
            problem = f"{name!r} stands twice"
        if problem:
            raise InputError(problem, file="--annotator", mend="give a person's name")
    return [Annotator(name, "adjudicator" if adjudicate else "annotator") for name in names]


def _work(items: Sequence[Item], rubrics: Rubrics, store: Store) -> Work:
    from datetime import UTC, datetime

    from judge.annotate.app import Work

    return Work(store.register(items), rubrics, store, lambda: datetime.now(UTC))


def _export(items: Sequence[Item], store: Store, gold: Path) -> None:
    from judge.annotate.gold import gold_lines
    from judge.gold import write_lines

    lines = list(gold_lines(store.register(items), store.events()))
    if not lines:
        mend = "label first, with --annotator NAME; was it another --database?"
        raise InputError("holds no marks on these rows", file=store.place, mend=mend)
    if str(gold) == "-":
        sys.stdout.write("".join(lines))
        return
    write_lines(gold, lines)
    print(f"{gold}: {len(lines)} marks on {len(items)} rows")


def _serve(
    work: Work, who: Sequence[Annotator], address: tuple[str, int], open_links: bool
) -> None:
    import secrets
    import webbrowser

    from judge.annotate.app import annotate_app
    from judge.annotate.serve import links, server_for
    from judge.listening import hosts_for, is_loopback, listen

    host, port = address
    tokens = {secrets.token_urlsafe(32): one for one in who}
    with listen(host, port) as listening:
        if not is_loopback(host):
            warning = (
                "everyone who sees the network's traffic can read these links and texts; "
                "use a tunnel (ssh -L) or a proxy with TLS where that matters"
            )
            print(f"flames-judge: {host}: {warning}", file=sys.stderr)
        for one, link in zip(who, links(tokens, host, listening), strict=True):
            print(f"{one.name}: {link}", flush=True)
            if open_links:
                webbrowser.open(link)
        print(f"{len(work.items)} rows; marks are saved in {work.store.place}; Ctrl-C ends it")
        sys.stdout.flush()
        try:
            server_for(annotate_app(work, tokens, hosts_for(host))).run(sockets=[listening])
        except KeyboardInterrupt:
            print("ended; every mark is saved", file=sys.stderr)
