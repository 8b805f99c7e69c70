"""The records of the board as answers of the API. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.cohorts.roster import Person
from labctl.cohorts.spec import Cohort
from labctl.hub.board.api import answers
from labctl.hub.board.reading import Column, Row, columns_of
from labctl.hub.board.viewer import Viewer
from labctl.labs.lab import Lab
from labctl.store.records import Attempt, Delivery, Entry, Message


def me(viewer: Viewer) -> answers.Me:
    role = "instructor" if viewer.instructor else "learner"
    return answers.Me.model_validate({"name": viewer.name, "role": role, "learner": viewer.learner_id})


def class_info(cohort: Cohort, labs: Sequence[Lab]) -> answers.ClassInfo:
    return answers.ClassInfo(
        name=cohort.name,
        title=cohort.title or cohort.name,
        opens=cohort.window.opens,
        closes=cohort.window.closes,
        labs=[_lab(lab) for lab in labs],
    )


def criteria(columns: Sequence[Column]) -> list[answers.Criterion]:
    return [answers.Criterion(id=each.id, text=each.text, points=each.points) for each in columns]


def place(row: Row, columns: Sequence[Column]) -> answers.Place:
    return answers.Place(
        learner=row.person.id,
        lab=row.lab,
        session=row.session,
        state=row.state,
        reason=row.reason,
        outcomes={column.id: mark for column, mark in zip(columns, row.marks, strict=True)},
        points=row.points,
        max_points=row.max_points,
        attempts=row.attempts,
        passed=row.passed,
        last_at=row.last_at,
        expires_at=row.expires_at,
        stuck_since=row.stuck_since,
        gpus=row.gpus,
    )


def learner(person: Person, places: Sequence[answers.Place]) -> answers.Learner:
    return answers.Learner(id=person.id, name=person.name, email=person.email, number=person.number, labs=list(places))


def attempt(found: Attempt) -> answers.Attempt:
    values = {"id": found.id, "at": found.at, "outcome": found.outcome}
    return answers.Attempt.model_validate({**values, "score": found.score, "max_score": found.max_score})


def action(entry: Entry) -> answers.Action:
    names = ("id", "at", "actor", "role", "action", "learner", "lab", "session", "hint", "ended_at")
    values = {name: getattr(entry, name) for name in names}
    more = {"request": dict(entry.request), "state": entry.outcome or "open", "message": entry.words}
    return answers.Action.model_validate({**values, **more})


def letter(message: Message) -> answers.Letter:
    names = ("id", "at", "sender", "text", "read_at")
    return answers.Letter.model_validate({name: getattr(message, name) for name in names})


def posted(delivery: Delivery) -> answers.Posted:
    """Without its body, and of the address without what stands behind `?`: some receivers have their password there."""
    names = ("id", "at", "event", "attempts", "status", "problem", "next_at", "delivered_at")
    values = {name: getattr(delivery, name) for name in names}
    return answers.Posted.model_validate({**values, "hook": delivery.hook.partition("?")[0]})


def _lab(lab: Lab) -> answers.LabInfo:
    columns = columns_of(lab)
    points = sum(column.points for column in columns)
    return answers.LabInfo(id=lab.id, title=lab.spec.title, max_points=points, criteria=criteria(columns))
