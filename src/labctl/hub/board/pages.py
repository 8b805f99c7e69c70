"""The board's pages: the class for instructors, their own labs for learners."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from labctl.errors import NotFoundError
from labctl.hub.board import words
from labctl.hub.board.access import Forbidden, PageViewer, check_instructor, check_may_see
from labctl.hub.board.base import Board, board_of
from labctl.hub.board.guard import inside
from labctl.hub.board.instructions import instructions
from labctl.hub.board.reading import Matrix, Row
from labctl.hub.board.render import LANGUAGE_COOKIE, language_of, page, rows
from labctl.hub.board.results import Result, following, results
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Look
from labctl.hub.names import server_name
from labctl.sessions.view import idle_warning

router = APIRouter(include_in_schema=False)
LOG_LINES = 100
_YEAR_S = 365 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One of a learner's labs on their first page."""

    row: Row
    title: str
    summary: str
    next: Result | None
    open_url: str


@router.get("/")
async def first(request: Request, viewer: PageViewer) -> Response:
    """Where somebody begins: the class, or their own labs."""
    base = board_of(request).prefix
    if viewer.instructor:
        return RedirectResponse(f"{base}class", 302)
    if viewer.learner_id is None:
        raise Forbidden("you are not on the list of this class", "ask your instructor to add you")
    return RedirectResponse(f"{base}learners/{viewer.learner_id}", 302)


@router.get("/class")
async def whole_class(request: Request, viewer: PageViewer, lab: str = "") -> Response:
    """The matrix of one lab; of the one that most are in, when none is named."""
    check_instructor(viewer)
    board = board_of(request)
    look = await board.watch.now()
    matrix = matrix_of(look, lab)
    return page(
        request,
        "class.html",
        viewer,
        matrix=matrix,
        labs={name: each.title for name, each in look.matrices.items()},
        rows=rows(request, list(matrix.rows)),
        gpu=board.watch.gpu,
        version=version_of(board, look),
    )


@router.get("/learners/{learner}")
async def learner(request: Request, viewer: PageViewer, learner: str) -> Response:
    """A learner's labs."""
    check_may_see(viewer, learner)
    board = board_of(request)
    person = board.room.person(learner)
    look = await board.watch.now()
    name = "learner_part.html" if request.headers.get("hx-request") else "learner.html"
    read = board.room.ctx.store.journal.messages
    return page(
        request,
        name,
        viewer,
        person=person,
        labs=await asyncio.to_thread(lambda: [_card(board, viewer, row) for row in look.of(learner)]),
        messages=await asyncio.to_thread(read, board.room.cohort.name, learner, unread=True),
        version=version_of(board, look),
    )


@router.get("/learners/{learner}/{lab}")
async def lab(request: Request, viewer: PageViewer, learner: str, lab: str) -> Response:
    """A learner's lab: instructions, results, what to do."""
    check_may_see(viewer, learner)
    return await lab_page(request, viewer, learner, lab, part=bool(request.headers.get("hx-request")))


async def lab_page(request: Request, viewer: Viewer, learner: str, lab: str, *, part: bool, said: str = "") -> Response:
    """The page of a lab, or the part of it that changes."""
    board = board_of(request)
    look = await board.watch.now()
    values = await asyncio.to_thread(_lab_values, board, viewer, look, learner, lab)
    if part:
        return page(request, "lab_part.html", viewer, **values, said=said or values["last_words"])
    language = language_of(request)
    text = instructions(board.room.lab(lab), language)
    more: dict[str, Any] = {"readme": text and text.html, "readme_tag": words.TAGS[text.language if text else language]}
    return page(request, "lab.html", viewer, **values, **more, said=values["last_words"])


@router.get("/log")
async def log(request: Request, viewer: PageViewer, before: Annotated[int, Query(ge=0)] = 0) -> Response:
    """What was done through the board, newest first."""
    check_instructor(viewer)
    room = board_of(request).room
    read = room.ctx.store.journal.entries
    found = await asyncio.to_thread(read, room.cohort.name, before=before, limit=LOG_LINES)
    older = found[-1].id if len(found) == LOG_LINES else 0
    return page(request, "log.html", viewer, entries=found, older=older)


@router.get("/language/{code}")
async def language(request: Request, code: str, back: str = "") -> Response:
    """Remember in which language somebody reads."""
    if code not in words.LANGUAGES:
        raise NotFoundError("there is no such language", f"there are: {', '.join(words.LANGUAGES)}")
    prefix = board_of(request).prefix
    answer = RedirectResponse(inside(prefix, back), 302)
    answer.set_cookie(LANGUAGE_COOKIE, code, max_age=_YEAR_S, path=prefix, samesite="lax", httponly=True)
    return answer


def matrix_of(look: Look, lab: str) -> Matrix:
    """The matrix of `lab`, or of the lab in which most are. Raises NotFoundError."""
    if lab and lab not in look.matrices:
        raise NotFoundError("this class has no such lab", f"it has: {', '.join(look.matrices)}")
    return look.matrices[lab] if lab else max(look.matrices.values(), key=lambda each: each.running)


def version_of(board: Board, look: Look) -> str:
    """How far somebody has read, in this run of the board."""
    return f"{board.run}.{look.version}"


def _card(board: Board, viewer: Viewer, row: Row) -> Card:
    lab = board.room.lab(row.lab)
    found = results(lab, _report(board, row))
    return Card(
        row=row,
        title=lab.spec.title,
        summary=lab.spec.summary,
        next=following(found),
        open_url=_open_url(board, viewer, row),
    )


def _lab_values(board: Board, viewer: Viewer, look: Look, learner: str, lab: str) -> dict[str, Any]:
    room = board.room
    person, loaded = room.person(learner), room.lab(lab)
    row = next(each for each in look.of(learner) if each.lab == lab)
    report = _report(board, row)
    last = room.ctx.store.journal.last(room.cohort.name, learner, "verify")
    last = last if last and last.lab == lab else None
    return {
        "person": person,
        "lab": lab,
        "title": loaded.spec.title,
        "row": row,
        "report": report,
        "results": results(loaded, report),
        "warning": _warning(board, row),
        "verifying": bool(last and not last.outcome),
        "last_words": last.words if last and last.outcome == "failed" else "",
        "open_url": _open_url(board, viewer, row),
        "messages": room.ctx.store.journal.messages(room.cohort.name, learner, unread=True),
        "version": version_of(board, look),
    }


def _warning(board: Board, row: Row) -> str:
    """That an idle GPU goes back, as `labctl status` says it; empty when nothing is to be said."""
    session = board.room.ctx.store.session(row.session) if row.gpus else None
    return idle_warning(board.room.ctx, session) if session else ""


def _report(board: Board, row: Row) -> dict[str, Any] | None:
    found = board.room.ctx.store.reports(row.session, limit=1) if row.attempts else []
    return found[0] if found else None


def _open_url(board: Board, viewer: Viewer, row: Row) -> str:
    """Where the learner themself starts it, or comes into it when it runs; empty for others, and without a Hub."""
    if not board.hub_prefix or viewer.learner_id != row.person.id:
        return ""
    return f"{board.hub_prefix}hub/spawn/{quote(viewer.name, safe='')}/{server_name(row.lab)}"
