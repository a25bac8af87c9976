"""Which paths are guarded, and what hostile paths and streams in small pieces cost."""

from __future__ import annotations

import time

import pytest

from guard.asgi.routes import Routes


@pytest.mark.parametrize(
    ("route", "paths", "others"),
    [
        ("/chat/{id}", ["/chat/7", "/CHAT//7/", "/chat/7\n"], ["/chat/7/8", "/chats/7"]),
        ("/a/*/b/*/c", ["/a/x/b/y/c", "/a/b/b/c/b//c", "/a//b/x/b/y/c/c"], ["/a/b/c", "/a/x/b/y"]),
        ("/{a}-{b}-{c}", ["/1-2-3", "/---", "/1-2-3-4"], ["/1-2", "/1-2/x-3"]),
        ("/*/v{n}/x", ["/v/v1/x", "/v1/v2/v3/x"], ["/v1/2/x"]),
        ("/{rest:path}/end{n:int}", ["/a/b/end7", "/end1/end2"], ["/a/end7/b"]),
    ],
)
def test_each_wildcard_is_what_the_router_lets_it_be(
    route: str, paths: list[str], others: list[str]
) -> None:
    """A parameter ends at a slash; a `*` and a path do not."""
    routes = Routes([route])
    assert [path for path in paths if routes.find(path) is None] == []
    assert [path for path in others if routes.find(path) is not None] == []


@pytest.mark.parametrize("route", ["/a/*/b/*/c", "/a/{x:path}/b/{y:path}/c", "/a/{x}-b-{y}-b-{z}c"])
def test_a_hostile_path_takes_no_long_time(route: str) -> None:
    """64 KB of it, which all but match in thousands of ways."""
    start = time.process_time()
    assert Routes([route]).find("/a/" + "b/" * 32_000 + "x") is None
    assert Routes([route]).find("/a/" + "-b" * 32_000 + "-x") is None
    assert time.process_time() - start < 2
