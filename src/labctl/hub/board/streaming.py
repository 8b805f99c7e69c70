"""What changes on a page while somebody looks: as server-sent events, and as an answer for who asks now and then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from labctl.hub.board.access import PageViewer, check_instructor, check_may_see
from labctl.hub.board.base import Board, board_of
from labctl.hub.board.pages import matrix_of, version_of
from labctl.hub.board.render import part, rows
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Look

router = APIRouter(include_in_schema=False)
MAX_STREAMS = 8
"""Of one viewer: more windows than that ask now and then instead."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.get("/events")
async def events(request: Request, viewer: PageViewer, lab: str = "", learner: str = "", since: str = "") -> Response:
    """Rows of the class's matrix as they change; with `learner`, that something of theirs has changed."""
    _check(viewer, learner)
    board = board_of(request)
    if not learner:
        matrix_of(await board.watch.now(), lab)
    if board.streams.get(viewer.name, 0) >= MAX_STREAMS:
        return Response("too many windows", 429, media_type="text/plain")
    began = _read(board, request.headers.get("last-event-id", since))
    told = _counted(board, viewer, _events(request, board, viewer, lab, learner, began))
    return StreamingResponse(told, media_type="text/event-stream", headers=HEADERS)


@router.get("/rows")
async def changed_rows(request: Request, viewer: PageViewer, lab: str = "", since: str = "") -> Response:
    """The rows that have changed since the version `since`, and the summary where any has."""
    check_instructor(viewer)
    board = board_of(request)
    look = await board.watch.now()
    matrix = matrix_of(look, lab)
    found = look.changed_since(matrix.lab, _read(board, since))
    summary = _summary(request, board, viewer, look, matrix.lab) if found else ""
    return JSONResponse({"version": version_of(board, look), "rows": rows(request, found), "summary": summary})


def event(name: str, data: str, id: str = "") -> str:
    r"""A server-sent event.

    >>> event("rows", "a\nb", "7")
    'event: rows\nid: 7\ndata: a\ndata: b\n\n'
    """
    lines = [f"event: {name}", *([f"id: {id}"] if id else []), *(f"data: {line}" for line in data.splitlines() or [""])]
    return "\n".join(lines) + "\n\n"


def _check(viewer: Viewer, learner: str) -> None:
    if learner:
        check_may_see(viewer, learner)
    else:
        check_instructor(viewer)


async def _events(
    request: Request, board: Board, viewer: Viewer, lab: str, learner: str, since: int
) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for look in board.watch.changes(since):
        if await board.login.of_page(request) != viewer:
            yield event("gone", "")
            return
        if look is None:
            yield ": nothing new\n\n"
            continue
        told = _part(board, look, learner, since) if learner else _rows(request, board, viewer, look, lab, since)
        since = look.version
        for each in told:
            yield each


def _rows(request: Request, board: Board, viewer: Viewer, look: Look, lab: str, since: int) -> list[str]:
    matrix = matrix_of(look, lab)
    found = look.changed_since(matrix.lab, since)
    if not found:
        return []
    summary = event("summary", _summary(request, board, viewer, look, matrix.lab))
    return [event("rows", rows(request, found), version_of(board, look)), summary]


def _part(board: Board, look: Look, learner: str, since: int) -> list[str]:
    return [event("part", "", version_of(board, look))] if look.version_of(learner) > since else []


def _summary(request: Request, board: Board, viewer: Viewer, look: Look, lab: str) -> str:
    values: dict[str, Any] = {"matrix": look.matrices[lab], "gpu": board.watch.gpu}
    return part(request, "summary.html", viewer, **values)


def _read(board: Board, version: str) -> int:
    """How far somebody has read; 0, so everything, where that was in another run of the board."""
    run, _, number = version.partition(".")
    return int(number) if run == board.run and number.isdecimal() and len(number) < 16 else 0


async def _counted(board: Board, viewer: Viewer, told: AsyncIterator[str]) -> AsyncIterator[str]:
    board.streams[viewer.name] = board.streams.get(viewer.name, 0) + 1
    try:
        async for each in told:
            yield each
    finally:
        board.streams[viewer.name] -= 1
        if not board.streams[viewer.name]:
            del board.streams[viewer.name]
