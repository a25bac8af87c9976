"""The annotators' web application: one page, and the requests that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from judge.annotate.gate import Gate
from judge.annotate.gold import gold_lines
from judge.annotate.items import Item
from judge.annotate.marks import (
    Annotator,
    GiveLabel,
    Mark,
    MarkQuotes,
    standing,
)
from judge.annotate.store import Store
from judge.annotate.view import item_view, queue_view, rubric_view, standing_view
from judge.listening import Hosts
from judge.rubric import Rubric, Rubrics

MOST_BYTES = 64 * 2**10
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_MARK: TypeAdapter[Mark] = TypeAdapter(Mark)


class _UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event: int


@dataclass(frozen=True)
class Work:
    """What is to be done, and where it is kept.

    Args:
        items: the rows by their number in the store, in the order they are shown.
        rubrics: those in use.
        store: the annotators' events.
        clock: now, in UTC.
    """

    items: Mapping[int, Item]
    rubrics: Rubrics
    store: Store
    clock: Callable[[], datetime]

    def rubric(self, item: Item) -> Rubric:
        """The rubric that a row is labelled by."""
        return self.rubrics[item.dimension]


def annotate_app(work: Work, tokens: Mapping[str, Annotator], hosts: Hosts) -> ASGIApp:
    """The application.

    Args:
        work: rows, rubrics and store.
        tokens: who may ask, by the token of their link.
        hosts: the names by which it may be reached.
    """
    page = _Page(work)
    files = [f for f in (resources.files("judge.annotate") / "page").iterdir() if f.is_file()]
    routes = [
        Route("/api/queue", page.queue),
        Route("/api/items/{item:int}", page.item),
        Route("/api/items/{item:int}/marks", page.mark, methods=["POST"]),
        Route("/api/undo", page.undo, methods=["POST"]),
        Route("/gold.jsonl", page.gold),
        *(_file_route(file.name, file.read_bytes()) for file in files),
    ]
    handlers: Mapping[Any, Any] = {
        SQLAlchemyError: _not_saved,
        ValidationError: _not_understood,
        HTTPException: _refused,
    }
    return Gate(Starlette(routes=routes, exception_handlers=handlers), tokens, hosts)


def _file_route(name: str, content: bytes) -> Route:
    media_type = _TYPES[name.rpartition(".")[2]]

    def serve(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route("/" if name == "page.html" else f"/{name}", serve)


def _not_saved(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "the database can't be used now"}, 503)


def _not_understood(_: Request, error: ValidationError) -> Response:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return JSONResponse({"error": problems[0]["msg"]}, 422)


def _refused(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


class _Page:
    """The requests of the page."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def queue(self, request: Request) -> Response:
        """Everything that a page needs when it opens."""
        work, who = self._work, _who(request)
        events = work.store.events(who=None if who.role == "adjudicator" else who)
        queue = queue_view(work.items, events, who)
        wanted = {row["dimension"] for row in queue}
        last = work.store.last(who, work.items)
        return JSONResponse(
            {
                "annotator": who.name,
                "role": who.role,
                "items": queue,
                "rubrics": {d: rubric_view(r) for d, r in work.rubrics.items() if d in wanted},
                "last": None if last is None else {"event": last.id, "item": last.item},
            }
        )

    def item(self, request: Request) -> Response:
        """One row."""
        number, item = self._asked(request)
        events = self._work.store.events(item=number)
        return JSONResponse(item_view(item, self._work.rubric(item), events, _who(request)))

    async def mark(self, request: Request) -> Response:
        """Save a label, a skip, a note or quotes."""
        number, item = self._asked(request)
        mark = _MARK.validate_json(await _body(request))
        if isinstance(mark, GiveLabel) and mark.label not in self._work.rubric(item).labels:
            raise HTTPException(422, "the label is not on this dimension's scale")
        if isinstance(mark, MarkQuotes) and not all(
            span.start < span.end <= len(item.text(span.side)) for span in mark.quotes
        ):
            raise HTTPException(422, "a quote is not in the text")
        saved = await run_in_threadpool(self._saved, number, _who(request), mark)
        return JSONResponse(saved)

    def _saved(self, number: int, who: Annotator, mark: Mark) -> dict[str, Any]:
        store = self._work.store
        event = store.add(number, who, mark, self._work.clock())
        mine = standing(e for e in store.events(item=number) if e.who == who)
        return {"last": {"event": event.id, "item": number}, "mine": standing_view(mine)}

    async def undo(self, request: Request) -> Response:
        """Take back the last mark, if it is the one that the page believes it to be."""
        asked = _UndoRequest.model_validate_json(await _body(request))
        return JSONResponse(await run_in_threadpool(self._undone, _who(request), asked.event))

    def _undone(self, who: Annotator, event: int) -> dict[str, Any]:
        work = self._work
        if not work.store.undo(who, event, work.items, work.clock()):
            raise HTTPException(409, "this is not the last mark")
        last = work.store.last(who, work.items)
        return {"last": None if last is None else {"event": last.id, "item": last.item}}

    def gold(self, request: Request) -> Response:
        """gold.jsonl: an adjudicator's has everybody's labels, an annotator's only their own."""
        who = _who(request)
        events = self._work.store.events(who=None if who.role == "adjudicator" else who)
        text = "".join(gold_lines(self._work.items, events))
        headers = {"content-disposition": 'attachment; filename="gold.jsonl"'}
        return Response(text, media_type="application/jsonl", headers=headers)

    def _asked(self, request: Request) -> tuple[int, Item]:
        number = int(request.path_params["item"])
        item = self._work.items.get(number)
        if item is None:
            raise HTTPException(404, "no such row")
        return number, item


def _who(request: Request) -> Annotator:
    who: Annotator = request.state.who
    return who


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "too long")
    return body
