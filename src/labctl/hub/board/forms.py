"""What is sent from the board's pages: each form is an action, answered with the page it came from or the part that changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from labctl.errors import NotFoundError, UsageError
from labctl.hub.board.access import FormViewer, PageViewer, check_instructor, check_may_see
from labctl.hub.board.base import board_of
from labctl.hub.board.guard import inside
from labctl.hub.board.pages import lab_page
from labctl.hub.board.reading import Row
from labctl.hub.board.render import language_of, page
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.words import say
from labctl.store.records import Entry
from labctl.units import parse_duration

router = APIRouter(include_in_schema=False)
WAITED_S = 2.0
"""So long is an answer kept back for what is done in the meantime."""
Text = Annotated[str, Form()]
CONFIRMED: Mapping[str, tuple[str, str]] = {
    "restart": ("Restart", "Everything that runs in this session is stopped and started anew. The files stay."),
    "end": ("End", "Everything that runs in this session is stopped. The files stay."),
}
SAID = {"": "It is being done: the page shows what comes of it.", "done": "Done:", "failed": "This did not work:"}


@router.get("/learners/{learner}/{lab}/actions")
async def actions(request: Request, viewer: PageViewer, learner: str, lab: str) -> Response:
    """What an instructor can do to a learner's session."""
    check_instructor(viewer)
    room = board_of(request).room
    seat = room.seat(learner, lab)
    heading = f"{seat.person.name} · {room.lab(lab).spec.title}"
    return _form(request, viewer, "actions.html", heading, learner, lab, person=seat.person)


@router.get("/learners/{learner}/{lab}/confirm/{action}")
async def confirm(request: Request, viewer: PageViewer, learner: str, lab: str, action: str) -> Response:
    """Ask before something is stopped."""
    check_instructor(viewer)
    if action not in CONFIRMED:
        raise NotFoundError("there is no such action", f"there are: {', '.join(CONFIRMED)}")
    seat = board_of(request).room.seat(learner, lab)
    label, warning = CONFIRMED[action]
    heading = f"{say(language_of(request), label)}: {seat.person.name}"
    target = f"{_place(request, learner, lab)}/{action}"
    values = {"action": action, "label": label, "warning": warning, "target": target}
    return _form(request, viewer, "confirm.html", heading, learner, lab, **values)


@router.get("/class/message")
async def write(request: Request, viewer: PageViewer) -> Response:
    """Write to everybody."""
    check_instructor(viewer)
    board = board_of(request)
    heading = say(language_of(request), "Message to all")
    count = len(board.room.people())
    return page(request, "write.html", viewer, heading=heading, back=f"{board.prefix}class", count=count)


@router.get("/class/verify")
async def ask_all(request: Request, viewer: PageViewer, lab: str) -> Response:
    """Ask before everybody's work is looked at."""
    check_instructor(viewer)
    board = board_of(request)
    title = board.room.lab(lab).spec.title
    values: dict[str, Any] = {
        "heading": title,
        "back": f"{board.prefix}class?lab={lab}",
        "action": "verify",
        "label": "Verify all",
        "warning": "Every running session of this lab that has not passed is looked at, a few at a time.",
        "target": f"{board.prefix}class/verify?lab={lab}",
    }
    return page(request, "confirm.html", viewer, **values)


@router.get("/class/extend")
async def more_for_all(request: Request, viewer: PageViewer, lab: str) -> Response:
    """Ask how much more time everybody gets."""
    check_instructor(viewer)
    board = board_of(request)
    heading = say(language_of(request), "More time for all")
    place = f"{board.prefix}class/extend?lab={board.room.lab(lab).id}"
    return page(request, "more.html", viewer, heading=heading, back=f"{board.prefix}class?lab={lab}", target=place)


@router.post("/class/verify")
async def verify_all(request: Request, viewer: FormViewer, lab: str, back: Text = "") -> Response:
    """Look at everybody's work of one lab who runs and has not passed."""
    running = await _running(request, viewer, lab)
    chosen = [row.person.id for row in running if not row.passed]
    if not chosen:
        raise UsageError("nobody who has not passed has a running session", "start sessions first")
    return await _for_all(request, viewer, "verify", chosen, lab, {}, back)


@router.post("/class/extend")
async def extend_all(request: Request, viewer: FormViewer, lab: str, more: Text = "", back: Text = "") -> Response:
    """More time for everybody who runs."""
    chosen = [row.person.id for row in await _running(request, viewer, lab)]
    if not chosen:
        raise UsageError("nobody has a running session", "start sessions first")
    return await _for_all(request, viewer, "extend", chosen, lab, {"more_s": _seconds(more)}, back)


@router.post("/class/message")
async def message_all(request: Request, viewer: FormViewer, text: Text = "", back: Text = "") -> Response:
    """A message to everybody."""
    entry = await _asked(request, viewer, "message", "", values={"text": text})
    return _done(request, viewer, entry, back)


@router.post("/learners/{learner}/message")
async def message(request: Request, viewer: FormViewer, learner: str, text: Text = "", back: Text = "") -> Response:
    """A message to one learner."""
    entry = await _asked(request, viewer, "message", learner, values={"text": text})
    return _done(request, viewer, entry, back)


@router.post("/learners/{learner}/messages/{id}/read")
async def put_away(request: Request, viewer: FormViewer, learner: str, id: int, back: Text = "") -> Response:
    """The learner has read a message of theirs."""
    check_may_see(viewer, learner)
    room = board_of(request).room
    if viewer.learner_id != learner or not room.ctx.store.journal.mark_read(
        room.cohort.name, learner, id, room.ctx.now()
    ):
        raise NotFoundError("there is no such message", "load the page again")
    return RedirectResponse(inside(board_of(request).prefix, back), 303)


@router.post("/learners/{learner}/{lab}/verify")
async def verify(request: Request, viewer: FormViewer, learner: str, lab: str, back: Text = "") -> Response:
    """Look at the work as it is now: a learner's own, or anybody's for an instructor."""
    check_may_see(viewer, learner)
    entry = await _asked(request, viewer, "verify", learner, lab)
    if request.headers.get("hx-target") == "part":
        return await lab_page(request, viewer, learner, lab, part=True)
    return _done(request, viewer, entry, back or f"{_place(request, learner, lab)}")


@router.post("/learners/{learner}/{lab}/extend")
async def extend(
    request: Request, viewer: FormViewer, learner: str, lab: str, more: Text = "", back: Text = ""
) -> Response:
    """More time."""
    entry = await _asked(request, viewer, "extend", learner, lab, {"more_s": _seconds(more)})
    return _done(request, viewer, entry, back)


@router.post("/learners/{learner}/{lab}/{action}")
async def stop(request: Request, viewer: FormViewer, learner: str, lab: str, action: str, back: Text = "") -> Response:
    """Restart or end a session, once that was confirmed."""
    if action not in CONFIRMED:
        raise NotFoundError("there is no such action", f"there are: {', '.join(CONFIRMED)}")
    entry = await _asked(request, viewer, action, learner, lab)
    return _done(request, viewer, entry, back)


async def _running(request: Request, viewer: Viewer, lab: str) -> list[Row]:
    """Who has a running session of the lab. Raises Forbidden, NotFoundError."""
    check_instructor(viewer)
    board = board_of(request)
    board.room.lab(lab)
    return [row for row in (await board.watch.now()).matrices[lab].rows if row.state == "running"]


async def _for_all(
    request: Request,
    viewer: Viewer,
    action: str,
    learners: Sequence[str],
    lab: str,
    values: Mapping[str, Any],
    back: str,
) -> Response:
    """The same for each of the learners. Of one who has just left nothing is said but in the log."""
    ask = board_of(request).actions.ask
    entries = []
    for learner in learners:
        with contextlib.suppress(NotFoundError):
            entries.append(await asyncio.to_thread(ask, viewer, action, learner, lab, values))
    if not entries:
        raise UsageError("nobody has a running session", "start sessions first")
    return _done(
        request, viewer, replace(entries[-1], words=say(language_of(request), "{n} learners", n=len(entries))), back
    )


async def _asked(
    request: Request,
    viewer: Viewer,
    action: str,
    learner: str,
    lab: str = "",
    values: Mapping[str, Any] | None = None,
) -> Entry:
    """What came of it, as far as that is known soon."""
    done = board_of(request).actions
    entry = await asyncio.to_thread(done.ask, viewer, action, learner, lab, values)
    if entry.outcome:
        return entry
    return await asyncio.to_thread(done.wait, entry.id, WAITED_S) or entry


def _done(request: Request, viewer: Viewer, entry: Entry, back: str) -> Response:
    if request.headers.get("hx-request"):
        return page(request, "done.html", viewer, entry=entry, said=SAID[entry.outcome])
    return RedirectResponse(inside(board_of(request).prefix, back), 303)


def _form(request: Request, viewer: Viewer, name: str, heading: str, learner: str, lab: str, **values: Any) -> Response:
    here = _place(request, learner, lab)
    return page(request, name, viewer, heading=heading, here=here, back=here, **values)


def _place(request: Request, learner: str, lab: str) -> str:
    return f"{board_of(request).prefix}learners/{learner}/{lab}"


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", "give one, for example 30m or 2h") from error
