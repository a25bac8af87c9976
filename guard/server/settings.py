"""What a server is told: values alone, so that every worker process can be given the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guard.loading import Plan

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much of anything one caller or the upstream may take.

    Args:
        body_bytes: of a request's body.
        run_bytes: of a file of records that is to be judged; four times as many must be free on
            the disk for one to be taken.
        run_rows: of such a file.
        open_runs: runs of one caller that have not ended, where its key says no other number.
        kept_runs: runs of one caller that are kept, ended or not.
        runs_at_once: runs that a worker judges at once.
        run_rests_s: seconds before a run is tried again whose judge or disk failed; after the last
            of them it has failed.
        held_bytes: of the bodies of all requests that a worker has in hand.
        answer_bytes: of an upstream's answer, whole or streamed.
        header_s: seconds for a request's headers to arrive.
        body_s: seconds for a request's body to arrive.
        stall_s: seconds that a caller may go without reading what was sent.
        connect_s: seconds to reach the upstream.
        upstream_s: seconds for a whole answer, or between two pieces of a streamed one.
        keep_alive_s: seconds of silence in a stream before a comment is sent.
        usage_s: seconds that a stopped stream is read on for its usage.
        grace_s: seconds that running requests are given when the server is told to end.
    """

    body_bytes: int = 10 * MIB
    run_bytes: int = 64 * MIB
    run_rows: int = 100_000
    open_runs: int = 4
    kept_runs: int = 100
    runs_at_once: int = 2
    run_rests_s: tuple[float, ...] = (5.0, 15.0, 60.0, 240.0)
    held_bytes: int = 256 * MIB
    answer_bytes: int = 16 * MIB
    header_s: float = 20.0
    body_s: float = 60.0
    stall_s: float = 120.0
    connect_s: float = 10.0
    upstream_s: float = 300.0
    keep_alive_s: float = 15.0
    usage_s: float = 2.0
    grace_s: float = 20.0


@dataclass(frozen=True)
class Settings:
    """One server.

    Args:
        plan: the policy with its calibration and rubrics, read once: a file that changes while a
            server starts, or before a worker is started again, makes no server of two policies.
        upstream: base URL of the server behind, with `/v1`.
        upstream_key_env: environment variable whose key goes upstream, in place of the caller's.
        keys: the file of keys; without it any caller is served.
        data: where the server keeps its counters and logs; None for nowhere.
        shared: what the workers of one server share; `data`, or a folder for the run.
        own: in there, what is this server's alone and gone when it ends.
        loopback_only: whether requests must be addressed to this machine by a loopback name.
        audit: places where decisions are recorded.
        retain_days: how long they are kept there, and runs that have ended; None for ever.
        record_texts: record texts beside their hashes.
        shadow: decide and record, but never act.
        spans: make an OpenTelemetry span of each decision.
        labels: the folder in which answers wait to be labelled; None for no such queue.
        label_share: of conversations that are drawn for it, in [0, 1].
        drift: the file in which the watch for drift is kept; None for no watch.
        limits: how much anyone may take.
    """

    plan: Plan
    upstream: str
    upstream_key_env: str | None = None
    keys: Path | None = None
    data: Path | None = None
    shared: Path | None = None
    own: Path | None = None
    loopback_only: bool = True
    audit: tuple[str, ...] = ()
    retain_days: float | None = None
    record_texts: bool = False
    shadow: bool = False
    spans: bool = False
    labels: Path | None = None
    label_share: float = 0.01
    drift: Path | None = None
    limits: Limits = Limits()
