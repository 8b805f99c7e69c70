"""What can be read: the class, its learners, their labs and reports, the log, what is posted elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from labctl.cohorts.roster import Person
from labctl.errors import NotFoundError
from labctl.hub.board.api import answers, made
from labctl.hub.board.api.asked import (
    AnyViewer,
    Before,
    Cursor,
    Instructor,
    LabId,
    LearnerId,
    Limit,
    Number,
    Reader,
    TheBoard,
    listed,
)
from labctl.hub.board.base import Board
from labctl.hub.board.reading import Row
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Look
from labctl.store.records import Attempt

router = APIRouter()
Version = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-f]{1,16}\.[0-9]{1,15}$", description="A `version` that was answered before."),
]


@router.get("/me", tags=["class"])
async def me(viewer: AnyViewer) -> answers.Me:
    """Whose token this is."""
    return made.me(viewer)


@router.get("/class", tags=["class"])
def class_info(_viewer: AnyViewer, board: TheBoard) -> answers.ClassInfo:
    """The class, its labs and what is asked in them."""
    cohort = board.room.cohort
    return made.class_info(cohort, [board.room.lab(lab) for lab in cohort.labs])


@router.get("/learners", tags=["learners"])
async def learners(
    _viewer: Instructor, board: TheBoard, limit: Limit = 50, cursor: Cursor = None
) -> answers.Listed[answers.Learner]:
    """Everybody in the list's order, with their labs. For instructors."""
    look = await board.watch.now()
    people = list(board.room.people())
    start = 1 + _index(people, cursor) if cursor else 0
    return listed(
        people[start : start + limit + 1], limit, lambda person: _learner(look, person), lambda person: person.id
    )


@router.get("/learners/{learner}", tags=["learners"])
async def learner(_viewer: Reader, board: TheBoard, learner: LearnerId) -> answers.Learner:
    """A learner with their labs."""
    return _learner(await board.watch.now(), board.room.person(learner))


@router.get("/learners/{learner}/labs/{lab}", tags=["learners"])
async def place(_viewer: Reader, board: TheBoard, learner: LearnerId, lab: LabId) -> answers.Place:
    """A learner in one lab: the session, the outcome of each criterion, the points that count."""
    look = await board.watch.now()
    return _place(look, _row(board, look, learner, lab))


@router.get("/learners/{learner}/labs/{lab}/attempts", tags=["learners"])
def attempts(
    _viewer: Reader, board: TheBoard, learner: LearnerId, lab: LabId, limit: Limit = 50, cursor: Before = None
) -> answers.Listed[answers.Attempt]:
    """Every verification, newest first."""
    found = [each for each in reversed(_attempts(board, learner, lab)) if cursor is None or each.id < cursor]
    return listed(found[: limit + 1], limit, made.attempt, lambda each: each.id)


@router.get("/learners/{learner}/labs/{lab}/attempts/{attempt}", tags=["learners"])
def report(_viewer: Reader, board: TheBoard, learner: LearnerId, lab: LabId, attempt: Number) -> answers.Report:
    """The whole report of a verification: every check, what it saw, hints, evidence."""
    found = next((each for each in _attempts(board, learner, lab) if each.id == attempt), None)
    if found is None:
        raise NotFoundError(f"there is no such attempt at {lab}", "`…/attempts` lists them")
    values: dict[str, Any] = board.room.ctx.store.report(found)
    return answers.Report.model_validate(values)


@router.get("/learners/{learner}/messages", tags=["learners"])
def messages(
    _viewer: Reader, board: TheBoard, learner: LearnerId, limit: Limit = 50, unread: bool = False
) -> list[answers.Letter]:
    """The newest messages to a learner, newest first."""
    board.room.person(learner)
    found = board.room.ctx.store.journal.messages(board.room.cohort.name, learner, unread=unread, limit=limit)
    return [made.letter(each) for each in found]


@router.get("/matrix/{lab}", tags=["class"])
async def matrix(_viewer: Instructor, board: TheBoard, lab: LabId, since: Version = None) -> answers.Matrix:
    """Learners × criteria of a lab; all rows, or those that changed after `since`. For instructors."""
    look = await board.watch.now()
    if lab not in look.matrices:
        raise NotFoundError(f"{board.room.cohort.name} has no lab {lab!r}", f"it has: {', '.join(look.matrices)}")
    found = look.matrices[lab]
    return answers.Matrix(
        version=f"{board.run}.{look.version}",
        lab=lab,
        title=found.title,
        criteria=made.criteria(found.columns),
        rows=[made.place(row, found.columns) for row in look.changed_since(lab, _read_up_to(board, since))],
    )


@router.get("/actions", tags=["actions"])
def actions(
    viewer: AnyViewer,
    board: TheBoard,
    learner: Annotated[str | None, Query(max_length=40, pattern="^[a-z0-9-]+$")] = None,
    limit: Limit = 50,
    cursor: Before = None,
) -> answers.Listed[answers.Action]:
    """The log, newest first. Learners see what is about themselves."""
    about = learner if viewer.instructor else viewer.learner_id
    if not viewer.instructor and (about is None or learner not in (None, about)):
        return answers.Listed(items=[], next=None)
    journal, name = board.room.ctx.store.journal, board.room.cohort.name
    found = journal.entries(name, learner=about or "", before=cursor or 0, limit=limit + 1)
    return listed(found, limit, made.action, lambda entry: entry.id)


@router.get("/actions/{action}", tags=["actions"])
def action(viewer: AnyViewer, board: TheBoard, action: Number) -> answers.Action:
    """One line of the log: ask for it until `state` is not `open` any more."""
    found = board.actions.entry(action)
    if found is None or not _may_see(viewer, found.learner):
        raise NotFoundError("there is no such action", "`…/actions` lists them")
    return made.action(found)


@router.get("/deliveries", tags=["class"])
def deliveries(
    _viewer: Instructor, board: TheBoard, limit: Limit = 50, cursor: Before = None
) -> answers.Listed[answers.Posted]:
    """What was posted to webhooks, newest first. For instructors."""
    outbox = board.room.ctx.store.outbox
    found = outbox.deliveries(board.room.cohort.name, before=cursor or 0, limit=limit + 1)
    return listed(found, limit, made.posted, lambda each: each.id)


def _may_see(viewer: Viewer, learner: str) -> bool:
    """A message to everybody is about nobody."""
    return viewer.instructor or (bool(learner) and viewer.may_see(learner))


def _index(people: list[Person], cursor: str) -> int:
    """Where in the list somebody stands; its end for who has left it."""
    return next((place for place, person in enumerate(people) if person.id == cursor), len(people))


def _learner(look: Look, person: Person) -> answers.Learner:
    return made.learner(person, [_place(look, row) for row in look.of(person.id)])


def _place(look: Look, row: Row) -> answers.Place:
    return made.place(row, look.matrices[row.lab].columns)


def _row(board: Board, look: Look, learner: str, lab: str) -> Row:
    board.room.seat(learner, lab)  # says what there is not
    return next(row for row in look.of(learner) if row.lab == lab)


def _attempts(board: Board, learner: str, lab: str) -> list[Attempt]:
    return board.room.ctx.store.attempts_of(board.room.seat(learner, lab).session)


def _read_up_to(board: Board, version: str | None) -> int:
    """0, so everything, where that was in another run of the board."""
    run, _, number = (version or "").partition(".")
    return int(number) if run == board.run else 0
