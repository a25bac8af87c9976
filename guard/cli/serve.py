"""`flames-judge serve`: the guard in front of an OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.cli.options import MOST_DAYS
from judge.cli.options import finite, plain_host
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.server.settings import Settings

SHARE = 0.01  # of conversations, for people to label
MIB = 2**20


def serve(
    upstream: Annotated[
        str, typer.Option(metavar="URL", help="The OpenAI-compatible server behind, with /v1.")
    ],
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy (YAML).")],
    host: Annotated[
        str,
        typer.Option(
            callback=plain_host, help="Where to listen; other than loopback needs --keys."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    upstream_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Variable with the upstream's key, sent in place of the caller's."
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Callers need a key: see `flames-judge keys`."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep counters, decisions and runs here.")
    ] = None,
    audit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Record decisions: jsonl:FILE, sqlite:///FILE or postgresql://...; repeatable; "
            "without it, an SQLite file in --data.",
        ),
    ] = None,
    retain_days: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_DAYS,
            callback=finite,
            help="Delete decisions, answers of --label-queue and runs after so many days.",
        ),
    ] = None,
    record_texts: Annotated[
        bool, typer.Option("--record-texts", help="Record texts, and not their hashes alone.")
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Decide and record, but withhold nothing.")
    ] = False,
    otel: Annotated[
        bool, typer.Option("--otel", help="An OpenTelemetry span of each decision (extra otel).")
    ] = False,
    label_queue: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put a share of the answers here for people to label."),
    ] = None,
    label_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Share of conversations for --label-queue; 0.01 without it.",
        ),
    ] = None,
    drift: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Watch scores for drift; this file keeps the watch."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    max_body: Annotated[
        float,
        typer.Option(min=0.001, max=1024, callback=finite, help="Largest request body, in MiB."),
    ] = 10.0,
    max_run: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=102_400,
            callback=finite,
            help="Largest file of /v1/runs, in MiB; four times as much must be free on the disk.",
        ),
    ] = 64.0,
    max_rows: Annotated[int, typer.Option(min=1, help="Most rows of such a file.")] = 100_000,
    open_runs: Annotated[
        int,
        typer.Option(min=0, help="Runs of one caller that have not ended; a key may have its own."),
    ] = 4,
    kept_runs: Annotated[
        int, typer.Option(min=1, help="Runs of one caller that are kept, ended or not.")
    ] = 100,
    runs_at_once: Annotated[
        int, typer.Option(min=1, max=64, help="Runs that each worker judges at once.")
    ] = 2,
    upstream_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, callback=finite, help="Seconds for an answer, or between a stream's pieces."
        ),
    ] = 300.0,
    grace: Annotated[
        float,
        typer.Option(min=0, callback=finite, help="Seconds that running requests get at the end."),
    ] = 20.0,
) -> None:
    """Guard a model: serve its API under a policy.

    Questions and answers pass only as the policy says.
    """
    _check_host(host, keys)
    if label_share is not None and label_queue is None:
        raise InputError("there is no queue", file="--label-share", mend="add --label-queue DIR")
    from guard.loading import read_plan
    from guard.server.run import serve as run
    from guard.server.settings import Limits, Settings
    from guard.server.upstream.connection import upstream_url

    body = int(max_body * MIB)
    limits = Limits(
        body_bytes=body,
        held_bytes=max(256 * MIB, 4 * body),
        run_bytes=int(max_run * MIB),
        run_rows=max_rows,
        open_runs=open_runs,
        kept_runs=kept_runs,
        runs_at_once=runs_at_once,
        upstream_s=upstream_timeout,
        grace_s=grace,
    )
    settings = Settings(
        plan=read_plan(policy),
        upstream=upstream_url(upstream),
        upstream_key_env=upstream_key_env,
        keys=keys,
        data=data,
        loopback_only=keys is None,
        audit=_places(audit, data),
        retain_days=retain_days,
        record_texts=record_texts,
        shadow=shadow,
        spans=otel,
        labels=label_queue,
        label_share=SHARE if label_share is None else label_share,
        drift=drift,
        limits=limits,
    )
    _check(settings, workers)
    _say_what_is_in_vain(settings)
    run(settings, (host, port), workers, lambda line: print(line, flush=True))


def _check_host(host: str, keys: Path | None) -> None:
    """Without keys, nobody else's machine may reach the server.

    Raises:
        InputError: it may.
    """
    from judge.listening import is_loopback

    if keys is None and not is_loopback(host):
        mend = "make some with `flames-judge keys add NAME --keys FILE`, and give --keys FILE"
        raise InputError(
            "is reached by others: that needs --keys", file=f"--host {host}", mend=mend
        )


def _places(audit: list[str] | None, data: Path | None) -> tuple[str, ...]:
    if audit:
        return tuple(audit)
    return () if data is None else (f"sqlite:///{data / 'events.sqlite'}",)


def _check(settings: Settings, workers: int) -> None:
    """Refuse flags that would say nothing, or something wrong.

    Raises:
        InputError: there is one.
    """
    needs_one = {
        "--label-queue": (settings.labels is not None, ""),
        "--drift": (settings.drift is not None, "; `guard drift` reads the log of several"),
    }
    if settings.record_texts and not settings.audit:
        mend = "add --audit PLACE or --data DIR"
        raise InputError("nothing is recorded", file="--record-texts", mend=mend)
    if settings.retain_days is not None and not settings.audit and settings.labels is None:
        mend = "add --audit PLACE, --data DIR or --label-queue DIR"
        raise InputError("nothing is recorded", file="--retain-days", mend=mend)
    for flag, (given, more) in needs_one.items():
        if given and workers > 1:
            mend = f"leave --workers out{more}"
            raise InputError("each conversation must count once", file=flag, mend=mend)


def _say_what_is_in_vain(settings: Settings) -> None:
    """A watch for drift goes by scores, which evidence has none of; people need a queue."""
    from guard.cli.options import say

    rules = settings.plan.policy.rules
    judged = any(rule.dimension is not None for rule in rules if rule.side == "output")
    if settings.drift is not None and not judged:
        say(
            "--drift: no rule has a `dimension`, so that there are no scores: watched is alone "
            "which share of the answers the rules act on"
        )
    if settings.labels is None and any(rule.action == "human" for rule in rules):
        say("without --label-queue nobody gets to see what rules with `action: human` stop")
