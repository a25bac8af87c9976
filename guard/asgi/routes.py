"""Which paths of an application are guarded, and where their JSON has prompt and reply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from guard.app_streams import Form
from guard.texts.json_replies import PROMPTS, Paths
from judge.errors import InputError

_ANY: Final = re.compile(r"\*|\{[^{}:]*(?::(?P<kind>[^{}]*))?\}")
# As other routers write what may be anything, and what no path holds or its router has decoded.
_FOREIGN: Final = re.compile(r"[][<>(){}｛｝＊?#|^\\\s\0-\x1f]|/:|\.[*+]|\$$|%[0-9A-Fa-f]{2}")
_PARAMETER: Final = re.compile(r"\{\w*(?::[^{}]*)?\}")
# What a parameter of such a kind, in Starlette's routers, can hold; others may hold a `/` too.
_WITHIN: Final = frozenset({"str", "int", "float", "uuid"})
_SEGMENT: Final = "[^/]*"
_ALL: Final = ".*"
# Starlette's patterns end with `$`, which also matches before a line's end: `/chat%0A` is `/chat`.
# In the path of a request they stay: a parameter may be nothing else.
_ENDS: Final = r"[/\n]*"


@dataclass(frozen=True)
class Route:
    """A guarded path.

    Every string of a guarded request and of its response is judged, listed here or not.

    Args:
        path: as the application's router has it, from its root: `/chat/{id}`; `*` stands for any
            text.
        prompts: JSON paths of what the user asks, the most telling first; the usual names without.
        replies: JSON paths of what the user reads, where the policy's message goes.
        names: keys whose values are identifiers: in a stream they change without being a text.
        end: what ends a stream of this path, as `data: [DONE]`: it follows the policy's message
            where an answer is stopped midway. Without it the stream just ends, except that
            `"done": false` becomes true.

    Raises:
        InputError: the path is not as Starlette's routers have it, or one of the others is no list,
            or no path into JSON.
    """

    path: str
    prompts: Sequence[str] = ()
    replies: Sequence[str] = ()
    names: Sequence[str] = ()
    end: str = ""
    prompt_paths: Paths = field(init=False, repr=False)
    form: Form = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check(self.path)
        for name in ("prompts", "replies", "names"):
            if isinstance(told := getattr(self, name), str):
                mend = f'write {name}=["{told}"]'
                raise InputError(f"{name} of {self.path} are no list", file="routes", mend=mend)
        own = object.__setattr__
        own(self, "prompt_paths", Paths.parse([*self.prompts, *PROMPTS]))
        own(self, "form", Form(self.replies, self.names, self.end))

    @property
    def is_open(self) -> bool:
        """Whether a part of the path is its caller's to choose, and so a text."""
        return _ANY.search(self.path) is not None


class Routes:
    """The guarded paths.

    Raises:
        InputError: there is none.
    """

    def __init__(self, routes: Sequence[str | Route]) -> None:
        alone = isinstance(routes, str) or not isinstance(routes, Iterable)
        made = [] if alone else [one if isinstance(one, Route) else Route(one) for one in routes]
        if not made:
            mend = 'name the paths: routes=["/chat"]'
            raise InputError("no path is guarded", file="routes", mend=mend)
        self._routes = [(_pattern(one.path), one) for one in made]

    def find(self, path: str, root: str = "") -> Route | None:
        """The route of a request's path.

        Args:
            path: decoded, as `scope["path"]` has it.
            root: where the application is mounted; path and route may begin with it or not.
        """
        paths = {path, path.removeprefix(root), root + path}
        plain = [_folded(one) for one in paths]
        for pattern, route in self._routes:
            if any(pattern.fullmatch(one) for one in plain):
                return route
        return None


def _check(path: object) -> None:
    """Refuse a path that would guard nothing, or not what its writer means.

    Raises:
        InputError: it is one.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        mend = "write it as the router has it: /chat"
        raise InputError(f"{path!r} is no path", file="routes", mend=mend)
    foreign = _FOREIGN.search(_PARAMETER.sub("x", path))
    if foreign is not None:
        problem = f"{path!r} is no path as Starlette writes it: it holds {foreign[0]!r}"
        mend = "write /chat/{id}; `*` stands for any text"
        raise InputError(problem, file="routes", mend=mend)


def _pattern(path: str) -> re.Pattern[str]:
    """What matches a path in linear time, but where a `*` has a parameter behind it.

    What comes next is looked for at the nearest place and no other (`(?>`): the next wildcard may
    be anything that this one may be. Only the last one has to reach the end.
    """
    path = _plain(path)
    found = list(_ANY.finditer(path))
    wilds = [_wild(one) for one in found]
    starts = [*(one.start() for one in found), len(path)]
    pattern = re.escape(path[: starts[0]])
    for n, one in enumerate(found):
        behind = re.escape(path[one.end() : starts[n + 1]])
        nearest = n + 1 < len(found) and wilds[n : n + 2] != [_ALL, _SEGMENT]
        pattern += f"(?>{wilds[n]}?{behind})" if nearest else wilds[n] + behind
    return re.compile(pattern + _ENDS, re.DOTALL)


def _wild(found: re.Match[str]) -> str:
    kind = "str" if found["kind"] is None else found["kind"]
    return _SEGMENT if found[0] != "*" and kind in _WITHIN else _ALL


def _plain(path: str) -> str:
    return _folded(path).rstrip("/\n") or "/"


def _folded(path: str) -> str:
    """Rather too much is guarded than too little: routers differ in case and in slashes."""
    return re.sub(r"/+", "/", "/" + path).casefold()
