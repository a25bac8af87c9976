"""Running the annotators' page: one listening socket, one secret link for each annotator."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from judge.annotate.gate import PREFIX


def links(tokens: Iterable[str], host: str, listening: socket.socket) -> list[str]:
    """The link of each token."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared
    shown = f"[{name}]" if ":" in name else name
    return [f"http://{shown}:{port}{PREFIX}{token}/" for token in tokens]


def server_for(app: ASGIApp) -> uvicorn.Server:
    """A server for the page: no log of requests, since their paths hold tokens."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            ws="none",
        )
    )
