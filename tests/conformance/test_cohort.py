"""A class of a few on every runtime: started, mended, claimed, judged, ended."""

from __future__ import annotations

from typing import Any

from labctl.cohorts import classroom
from labctl.cohorts.classroom import Done
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import of_session, seats
from labctl.cohorts.spec import Cohort
from labctl.progress import Step
from tests.conformance.homes import Home
from tests.conformance.labs import LAB, server

PEOPLE = [Person(id=name, name=name) for name in ("ada", "bob", "cy")]


def quiet(_said: Step | Done) -> None:
    return


def cohort(**more: Any) -> Cohort:
    return Cohort.model_validate({"name": "autumn", "labs": [LAB], "roster": "r.csv", **more})


def start(host: Home, chosen: Cohort, people: list[Person] = PEOPLE) -> dict[str, str]:
    """What became of each learner, in a word; of the reserved sessions too."""
    found = seats(chosen, people, host.ctx.store.sessions())
    done = classroom.start(host.ctx, chosen, classroom.due(chosen, found, host.ctx), {LAB: "cpu"}, quiet, quiet)
    done += classroom.start(host.ctx, chosen, classroom.spares(host.ctx, chosen), {LAB: "cpu"}, quiet, quiet)
    assert [each.problem for each in done if each.problem] == []
    return {each.seat.person.id: each.words.split()[0] for each in done}


def end(host: Home, chosen: Cohort) -> None:
    sessions = classroom.of_cohort(host.ctx, chosen)
    done = classroom.end(host.ctx, sessions, [of_session(each, PEOPLE) for each in sessions], quiet, quiet)
    assert [each.problem for each in done if each.problem] == []


def test_a_class_starts_is_mended_and_ends(host: Home) -> None:
    host.write({"web": server()})
    assert start(host, cohort()) == {"ada": "started", "bob": "started", "cy": "started"}
    ids = [f"{LAB}--autumn--{person.id}" for person in PEOPLE]
    assert host.remains() == ids
    host.engine.kill(host.settings, ids[1], "web")
    assert start(host, cohort()) == {"ada": "runs", "bob": "started", "cy": "runs"}

    (host.ctx.settings.workspaces / "autumn" / "cy" / LAB / "page").write_text("here")
    judged = classroom.verify(host.ctx, seats(cohort(), PEOPLE), quiet)
    assert {each.seat.person.id: each.words for each in judged} == {
        "ada": "0 of 1 points",
        "bob": "0 of 1 points",
        "cy": "1 of 1 points",
    }
    end(host, cohort())
    assert host.remains() == []


def test_a_reserved_session_is_taken_as_it_runs(host: Home) -> None:
    host.write({"web": server()})
    chosen = cohort(sessions={"reserved": 1})
    assert start(host, chosen, []) == {"spare-1": "started"}
    spare = f"{LAB}--autumn--spare-1"
    before = host.engine.identity(host.settings, spare, "web")
    assert start(host, chosen, PEOPLE[:1]) == {"ada": "took", "spare-2": "started"}
    assert start(host, chosen, PEOPLE[:1]) == {"ada": "runs"}
    assert host.engine.identity(host.settings, spare, "web") == before
    end(host, chosen)
    assert host.remains() == []
