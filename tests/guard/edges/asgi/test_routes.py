"""Which paths are guarded, and what hostile paths and streams in small pieces cost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from guard.asgi.routes import Route, Routes
from judge.errors import InputError


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


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("/chat/<id>", "<"),
        ("/chat/<int:id>", "<"),
        ("/chat/:id", "/:"),
        ("/chat/(?P<id>[^/]+)", "("),
        ("/chat/[id]", "["),
        ("/chat/.*", ".*"),
        ("/chat/.+", ".+"),
        ("/chat$", "$"),
        ("/chat|/ask", "|"),
        ("/chat\\d", "\\"),
        ("/chat?stream=1", "?"),
        ("/chat#top", "#"),
        ("/chat ", " "),
        ("/chat\n", "\n"),
        ("/%E8%81%8A", "%E8"),
        ("/chat/{id", "{"),
        ("/chat/id}", "}"),
        ("/chat/{*rest}", "{"),
        ("/chat/{chat-id}", "{"),
        ("/chat/{id:[0-9]{3}}", "{"),
        ("/chat/｛id｝", "｛"),
    ],
)
def test_a_path_in_another_router_s_words_is_refused(path: str, sign: str) -> None:
    """It would be taken for a text that no request's path is, and so guard nothing."""
    for route in (path, f"/{{rest:path}}{path}"):
        with pytest.raises(InputError) as caught:
            Routes([route])
        assert f"holds {sign!r} (write /chat/{{id}}; `*` stands for any text)" in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["/v1/models/{model}:generate", "/$batch", "/聊天/{id}", "/a+b/~me/c.d;e=1,f!", "/{}", "/**/b"],
)
def test_a_path_of_unusual_signs_is_guarded(path: str) -> None:
    """Starlette takes them for themselves."""
    assert Routes([path]).find(path.replace("{id}", "7")) is not None


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (None, "no path is guarded"),
        (3, "no path is guarded"),
        (Route("/chat"), "no path is guarded"),
        (iter([]), "no path is guarded"),
        ([None], "None is no path"),
        ([b"/chat"], "is no path"),
        ([["/chat"]], "is no path"),
    ],
)
def test_what_names_no_paths_is_one_line(routes: Any, said: str) -> None:
    """And never a guard without paths."""
    with pytest.raises(InputError, match=said):
        Routes(routes)


@pytest.mark.parametrize("name", ["prompts", "replies", "names"])
def test_one_text_in_place_of_a_list_is_refused(name: str) -> None:
    """Each of its letters would be taken for a path or a name."""
    with pytest.raises(InputError, match=f"{name} of /chat are no list"):
        Route("/chat", **{name: "ask"})


@pytest.mark.parametrize(
    ("route", "path", "root"),
    [
        ("/chat", "/api/chat", "/api"),
        ("/api/chat", "/chat", "/api"),
        ("/api/chat", "/api/chat", "/api"),
        ("/chat", "/chat", "/api"),
        ("/api/chat/{id}", "/chat/7", "/api/"),
    ],
)
def test_a_path_is_guarded_with_the_root_or_without_it(route: str, path: str, root: str) -> None:
    """Proxies cut it off or leave it, and people name either path."""
    assert Routes([route]).find(path, root) is not None
    assert Routes([route]).find("/other" + path, root) is None


@pytest.mark.parametrize("route", ["/a/*/b/*/c", "/a/{x:path}/b/{y:path}/c", "/a/{x}-b-{y}-b-{z}c"])
def test_a_hostile_path_takes_no_long_time(route: str) -> None:
    """64 KB of it, which all but match in thousands of ways."""
    start = time.process_time()
    assert Routes([route]).find("/a/" + "b/" * 32_000 + "x") is None
    assert Routes([route]).find("/a/" + "-b" * 32_000 + "-x") is None
    assert time.process_time() - start < 2
