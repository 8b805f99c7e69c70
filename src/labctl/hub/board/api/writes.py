"""What can be done: each is answered with its line of the log, at once when it takes long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from labctl.errors import NotFoundError
from labctl.hub.board.api import answers, made
from labctl.hub.board.api.asked import Instructor, Key, LabId, LearnerId, Number, Reader, TheBoard
from labctl.hub.board.base import Board
from labctl.hub.board.viewer import Viewer

router = APIRouter()
LAB = "/learners/{learner}/labs/{lab}"


@router.post(f"{LAB}/verify", tags=["actions"], status_code=202)
def verify(
    viewer: Reader, board: TheBoard, response: Response, learner: LearnerId, lab: LabId, key: Key = None
) -> answers.Action:
    """Look at a learner's work now. Learners may ask for their own, six times a minute."""
    return _ask(board, viewer, response, "verify", learner, lab, key=key)


@router.post(f"{LAB}/extend", tags=["actions"])
def extend(
    viewer: Instructor,
    board: TheBoard,
    response: Response,
    learner: LearnerId,
    lab: LabId,
    body: answers.MoreTime,
    key: Key = None,
) -> answers.Action:
    """Give a session more time. For instructors."""
    return _ask(board, viewer, response, "extend", learner, lab, {"more_s": body.seconds}, key)


@router.post(f"{LAB}/restart", tags=["actions"], status_code=202)
def restart(
    viewer: Instructor, board: TheBoard, response: Response, learner: LearnerId, lab: LabId, key: Key = None
) -> answers.Action:
    """End a session and start it anew, or start it; the files stay. For instructors."""
    return _ask(board, viewer, response, "restart", learner, lab, key=key)


@router.post(f"{LAB}/end", tags=["actions"], status_code=202)
def end(
    viewer: Instructor, board: TheBoard, response: Response, learner: LearnerId, lab: LabId, key: Key = None
) -> answers.Action:
    """End a session; the files stay. For instructors."""
    return _ask(board, viewer, response, "end", learner, lab, key=key)


@router.post("/learners/{learner}/send", tags=["actions"])
def send(
    viewer: Instructor,
    board: TheBoard,
    response: Response,
    learner: LearnerId,
    body: answers.Words,
    key: Key = None,
) -> answers.Action:
    """Write to a learner. For instructors."""
    return _ask(board, viewer, response, "message", learner, "", {"text": body.text}, key)


@router.post("/send", tags=["actions"])
def send_all(
    viewer: Instructor, board: TheBoard, response: Response, body: answers.Words, key: Key = None
) -> answers.Action:
    """Write to everybody. For instructors."""
    return _ask(board, viewer, response, "message", "", "", {"text": body.text}, key)


@router.post("/learners/{learner}/messages/{message}/read", tags=["learners"], status_code=204)
def read(_viewer: Reader, board: TheBoard, learner: LearnerId, message: Number) -> None:
    """Put a message away; doing it again does nothing."""
    room = board.room
    if not room.ctx.store.journal.mark_read(room.cohort.name, learner, message, room.ctx.now()):
        raise NotFoundError("there is no such message", "`…/messages` lists them")


def _ask(
    board: Board,
    viewer: Viewer,
    response: Response,
    action: str,
    learner: str,
    lab: str,
    values: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> answers.Action:
    entry = board.actions.ask(viewer, action, learner, lab, values, key)
    response.headers["Location"] = f"{board.prefix}api/v1/actions/{entry.id}"
    return made.action(entry)
