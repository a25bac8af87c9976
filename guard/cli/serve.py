"""`flames-judge serve`: the guard in front of an OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.cli.options import finite
from judge.errors import InputError

if TYPE_CHECKING:
    from guard.server.settings import Settings

MIB = 2**20


def serve(
    upstream: Annotated[
        str, typer.Option(metavar="URL", help="The OpenAI-compatible server behind, with /v1.")
    ],
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy (YAML).")],
    host: Annotated[
        str, typer.Option(help="Where to listen; other than loopback needs --keys.")
    ] = ("127.0.0.1"),
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
        typer.Option(min=0, callback=finite, help="Delete decisions and runs after so many days."),
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
        float,
        typer.Option(
            min=0, max=1, callback=finite, help="Share of conversations for --label-queue."
        ),
    ] = 0.01,
    drift: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Watch scores for drift; this file keeps the watch."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    max_body: Annotated[
        float,
        typer.Option(min=0.001, max=1024, callback=finite, help="Largest request body, in MiB."),
    ] = 10.0,
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

    Questions and answers pass only as the policy says; docs/guard.md tells how.
    """
    _check_host(host, keys)
    from guard.server.run import serve as run
    from guard.server.settings import Limits, Settings
    from guard.server.upstream import upstream_url

    body = int(max_body * MIB)
    limits = Limits(
        body_bytes=body,
        held_bytes=max(256 * MIB, 4 * body),
        upstream_s=upstream_timeout,
        grace_s=grace,
    )
    settings = Settings(
        policy=policy,
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
        label_share=label_share,
        drift=drift,
        limits=limits,
    )
    _check(settings, workers)
    run(settings, (host, port), workers, lambda line: print(line, flush=True))


def _check_host(host: str, keys: Path | None) -> None:
    """Without keys, nobody else's machine may reach the server.

    Raises:
        InputError: it may.
    """
    from judge.annotate.serve import is_loopback

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
    needs_log = {
        "--retain-days": settings.retain_days is not None,
        "--record-texts": settings.record_texts,
    }
    needs_one = {
        "--label-queue": settings.labels is not None,
        "--drift": settings.drift is not None,
    }
    for flag, told in needs_log.items():
        if told and not settings.audit:
            mend = "add --audit PLACE or --data DIR"
            raise InputError("nothing is recorded", file=flag, mend=mend)
    for flag, told in needs_one.items():
        if told and workers > 1:
            mend = "leave --workers out; `flames-judge guard drift` reads the log of several"
            raise InputError("each conversation must count once", file=flag, mend=mend)
