"""A learner's place in a lab of the cohort: what a class is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labctl.cohorts.roster import Person
from labctl.cohorts.spec import Cohort
from labctl.names import session_id
from labctl.store.records import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """`session` is the id of the session, whether there is one yet or not."""

    person: Person
    lab: str
    session: str


def seats(cohort: Cohort, people: Sequence[Person], sessions: Iterable[Session] = ()) -> list[Seat]:
    """Everybody's first lab, then everybody's second. Of `sessions`, whoever has claimed one sits there."""
    claimed = {
        (session.lab, session.claimed_by): session.id
        for session in sessions
        if session.cohort == cohort.name and session.claimed_by
    }
    return [
        Seat(
            person=person,
            lab=lab,
            session=claimed.get((lab, person.id)) or session_id(lab, person.id, cohort.name),
        )
        for person, lab in cohort.pairs(people)
    ]


def of_session(session: Session, people: Sequence[Person]) -> Seat:
    """The seat of a session that there is, also of somebody who has left the list."""
    person = next((each for each in people if each.id == session.person), None)
    return Seat(person=person or Person(id=session.person, name=session.person), lab=session.lab, session=session.id)
