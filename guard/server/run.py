"""Running the server: one listening socket, one or several workers, a graceful end."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from guard.server.app import create_app
from guard.server.gate import Gate
from guard.server.protocol import BoundedProtocol
from guard.server.settings import Settings
from guard.server.state import State, open_state
from judge.annotate.serve import listen
from judge.errors import InputError

MOST_FILES = 65_536
AFTER_GRACE_S = 5  # for the answers to what was cut short


def serve(
    settings: Settings, address: tuple[str, int], workers: int, say: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C; then running requests end within the grace time.

    Args:
        settings: the server's.
        address: host and port.
        workers: processes.
        say: told where the server can be reached, once it listens.

    Raises:
        InputError: something can't be read, or nothing can listen there.
        JudgeUnavailable: the judge can't be loaded.
    """
    _say_warnings()
    allow_files()
    with _shared(settings, workers) as shared, listen(*address) as listening:
        state = open_state(shared)  # also where workers load their own: refusals come first
        say(_announcement(state, address[0], listening, workers))
        if workers == 1:
            _run_one(state, listening)
        else:
            state.closing.close()
            config = uvicorn_config(partial(_worker, shared), settings, workers)
            _Workers(config, sockets=[listening]).run()


class _Workers(Multiprocess):
    """Worker processes; while the last requests end, new callers are refused and not left waiting.

    uvicorn's parent keeps the listening socket open until its workers are gone, so that the system
    goes on taking connections that nobody will answer.
    """

    def terminate_all(self) -> None:
        super().terminate_all()
        for one in self.sockets:
            one.close()


def uvicorn_config(app: object, settings: Settings, workers: int = 1) -> uvicorn.Config:
    """How uvicorn is to serve an application, or a function that makes it."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        factory=not isinstance(app, Gate),
        workers=workers,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.limits.grace_s) + AFTER_GRACE_S,
        timeout_worker_healthcheck=120,  # a worker that loads on a busy machine is not hung
    )


def _run_one(state: State, listening: socket.socket) -> None:
    settings = Settings(Path(), "", limits=state.limits)
    server = uvicorn.Server(uvicorn_config(create_app(state), settings))
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # else uvicorn ends us by it at last
    gc.freeze()  # what is loaded by now stays: no pause looks through it again
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _worker(settings: Settings) -> Gate:
    """What a worker process serves."""
    _say_warnings()
    allow_files()
    app = create_app(open_state(settings))
    gc.freeze()
    return app


@contextmanager
def _shared(settings: Settings, workers: int) -> Iterator[Settings]:
    """The settings with a folder that all workers share: the data's, or one for this run."""
    if settings.data is not None:
        try:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"can't be made: {error.strerror}", file=settings.data) from None
        yield _with_metrics(replace(settings, shared=settings.data), workers)
    elif workers > 1:
        with tempfile.TemporaryDirectory(prefix="flames-judge-") as folder:
            yield _with_metrics(replace(settings, shared=Path(folder)), workers)
    else:
        yield settings


def _with_metrics(settings: Settings, workers: int) -> Settings:
    """Let several workers' metrics be added up, by way of files that start empty."""
    if workers > 1 and settings.shared is not None:
        folder = settings.shared / "metrics"
        folder.mkdir(exist_ok=True, mode=0o700)
        for left in folder.glob("*.db"):
            left.unlink()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    return settings


def _announcement(state: State, host: str, listening: socket.socket, workers: int) -> str:
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    policy = state.guard.policy
    shadow = ", shadow mode: nothing is withheld" if policy.shadow else ""
    return (
        f"serving http://{shown}:{port}/v1 with {workers} worker{'s' * (workers > 1)}: "
        f"policy {policy.id}, judge {policy.judge}, "
        f"calibration {state.guard.calibration_id or 'none'}{shadow}; Ctrl-C ends it"
    )


def _say_warnings() -> None:
    """Our own warnings go to standard error, a line each; other libraries' stay as they are."""
    log = logging.getLogger("flames_judge")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("flames-judge: %(message)s"))
        log.addHandler(handler)
        log.propagate = False


def allow_files() -> None:
    """Every caller and every call upstream takes a file handle: use all that may be had."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
