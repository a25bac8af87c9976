"""Running the server: one listening socket, one or several workers, a graceful end."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from guard.server.app import create_app
from guard.server.gate import Gate
from guard.server.http.log import say_warnings
from guard.server.http.protocol import BoundedProtocol
from guard.server.settings import Limits, Settings
from guard.server.sharing import alive, sharing
from guard.server.state import State, open_state, refuse
from judge.listening import listen

MOST_FILES = 65_536
GARBAGE = 20_000  # objects between two collections: a request makes more than Python's own 700
AFTER_GRACE_S = 5  # for the answers to what was cut short
# A connection waits so long for its next request: longer than proxies, balancers and clients' pools
# keep one (nginx and AWS 60 s, Go and Traefik 90 s, Caddy 120 s, Google 600 s). So they close it,
# and no request of theirs meets a close of ours.
IDLE_S = 620


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
    say_warnings()
    allow_files()
    refuse(settings)
    with sharing(settings, workers) as shared, listen(*address) as listening:
        state = open_state(shared)  # also where workers load their own: refusals come first
        say(_announcement(state, address[0], listening, workers))
        if workers == 1:
            _run_one(state, listening)
        else:
            state.closing.close()
            config = uvicorn_config(partial(_worker, shared), settings.limits, workers)
            _Workers(config, sockets=[listening]).run()


class Server(uvicorn.Server):
    """uvicorn's, but who is connected when it is told to end is answered.

    The system connects callers before a server sees them: closed over, their connections are reset.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take who waits, take no more, and let the requests end."""
        application: Any = self.config.loaded_app
        application.drain.begin()
        listening = [one for server in self.servers for one in server.sockets]
        for _ in range(self.config.backlog):  # no more can wait, but new ones might come for ever
            if not select.select(listening, (), (), 0)[0]:
                break
            await asyncio.sleep(0)
        await super().shutdown(sockets)


class _Worker(Process):
    """One worker process."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = Server(self.config)
        return self._server


class _Workers(Multiprocess):
    """Worker processes; while the last requests end, new callers are refused and not left waiting.

    uvicorn's parent keeps the listening socket open until its workers are gone, so that the system
    goes on taking connections that nobody will answer. Here the last worker that closes it has
    taken all.
    """

    def init_processes(self) -> None:
        self.processes = [_Worker(self.config, self.sockets) for _ in range(self.processes_num)]
        for one in self.processes:
            one.start()

    def terminate_all(self) -> None:
        for one in self.sockets:
            one.close()
        super().terminate_all()


def uvicorn_config(app: object, limits: Limits, workers: int = 1) -> uvicorn.Config:
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
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=int(limits.grace_s) + AFTER_GRACE_S,
        timeout_worker_healthcheck=120,  # a worker that loads on a busy machine is not hung
    )


def _run_one(state: State, listening: socket.socket) -> None:
    server = Server(uvicorn_config(create_app(state), state.limits))
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # else uvicorn ends us by it at last
    _collect_seldom()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _collect_seldom() -> None:
    """What is loaded by now stays: no collection looks through it again, and there are fewer."""
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])


def _worker(settings: Settings) -> Gate:
    """What a worker process serves."""
    _end_with_parent()
    say_warnings()
    allow_files()
    state = open_state(settings)
    state.closing.enter_context(alive(settings.own))
    app = create_app(state)
    _collect_seldom()
    return app


def _end_with_parent() -> None:
    """Drain and end once the parent is gone.

    A killed parent's workers would serve on unseen, and hold the port that it is to be started on.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


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
