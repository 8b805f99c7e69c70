"""What is done from the board: by whom it may be, once for each key, and into the log before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from labctl.errors import LabctlError, NotFoundError, PreflightError, UsageError
from labctl.hub.board.access import Forbidden
from labctl.hub.board.actions import Actions, TooOften
from labctl.hub.board.deeds import DEEDS
from labctl.hub.board.room import Room
from labctl.hub.board.viewer import Viewer
from labctl.sessions.context import Context
from labctl.store.lock import session_lock
from labctl.store.records import Entry, Session, SessionState
from tests.unit.board.classes import ADA, BOB, EVE, LAB, NOBODY, make, start

WAIT_S = 30.0


@pytest.fixture
def room(ctx: Context, home: Path, write_lab: Callable[..., Path]) -> Room:
    write_lab()
    made = make(ctx, home / "autumn")
    start(made)
    return made


@pytest.fixture
def actions(room: Room) -> Iterator[Actions]:
    made = Actions(room)
    yield made
    made.close()


def session(room: Room, learner: str = "ada") -> Session:
    found = room.ctx.store.session(f"{LAB}--autumn--{learner}")
    assert found is not None
    return found


def done(actions: Actions, entry: Entry) -> Entry:
    found = actions.wait(entry.id, WAIT_S)
    assert found is not None
    assert found.outcome
    return found


def test_more_time_is_given_and_stands_in_the_log(room: Room, actions: Actions) -> None:
    before = session(room).expires_at
    entry = actions.ask(EVE, "extend", "ada", LAB, {"more_s": 7200})
    assert before is not None
    assert session(room).expires_at == before + timedelta(hours=2)
    assert (entry.outcome, entry.actor, entry.learner, entry.request["more_s"]) == ("done", "eve", "ada", 7200)
    assert room.ctx.store.journal.entries("autumn") == [entry]


def test_what_many_give_at_once_adds_up(room: Room, actions: Actions) -> None:
    before = session(room).expires_at
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: actions.ask(EVE, "extend", "ada", LAB, {"more_s": 60}), range(30)))
    assert before is not None
    assert session(room).expires_at == before + timedelta(minutes=30)


def test_asking_again_with_the_same_key_does_it_once(room: Room, actions: Actions) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda _: actions.ask(EVE, "extend", "ada", LAB, {"more_s": 60}, "k1"), range(4)))
    assert len({each.id for each in asked}) == 1
    assert len(room.ctx.store.journal.entries("autumn")) == 1
    with pytest.raises(PreflightError, match="was used for something else"):
        actions.ask(EVE, "extend", "ada", LAB, {"more_s": 120}, "k1")
    with pytest.raises(PreflightError, match="was used for something else"):
        actions.ask(EVE, "end", "ada", LAB, key="k1")


def test_end_and_restart_keep_the_files(room: Room, actions: Actions) -> None:
    file = Path(session(room).workspace) / "mine.txt"
    file.write_text("mine")
    assert done(actions, actions.ask(EVE, "end", "ada", LAB)).words == "ended; the files stay"
    assert session(room).state is SessionState.STOPPED
    assert session(room).why_ended == "ended"
    assert done(actions, actions.ask(EVE, "end", "ada", LAB)).words == "it had ended"
    assert done(actions, actions.ask(EVE, "restart", "ada", LAB)).outcome == "done"
    assert session(room).state is SessionState.RUNNING
    assert session(room).why_ended == ""
    assert done(actions, actions.ask(EVE, "restart", "ada", LAB)).outcome == "done"
    assert file.read_text() == "mine"


def test_a_learner_verifies_their_own_work(room: Room, actions: Actions) -> None:
    (Path(session(room).workspace) / "answer.txt").write_text("yes")
    entry = done(actions, actions.ask(ADA, "verify", "ada", LAB))
    assert (entry.outcome, entry.words, entry.role) == ("done", "10 of 10 points", "learner")
    assert [report["score"] for report in room.ctx.store.reports(session(room).id)] == [10]


@pytest.mark.parametrize("viewer", [BOB, NOBODY])
@pytest.mark.parametrize("action", sorted(DEEDS))
def test_nobody_may_do_anything_to_somebody_elses_work(
    room: Room, actions: Actions, viewer: Viewer, action: str
) -> None:
    before = room.ctx.store.changes("autumn")
    with pytest.raises(Forbidden):
        actions.ask(viewer, action, "ada", LAB, {"more_s": 60, "text": "hello"})
    assert room.ctx.store.changes("autumn") == before


@pytest.mark.parametrize("action", sorted(name for name, deed in DEEDS.items() if not deed.own))
def test_a_learner_may_not_do_what_is_the_instructors_to_their_own_work(actions: Actions, action: str) -> None:
    with pytest.raises(Forbidden):
        actions.ask(ADA, action, "ada", LAB, {"more_s": 60, "text": "hello"})


def test_what_makes_no_sense_is_refused_before_it_is_in_the_log(room: Room, actions: Actions) -> None:
    cases: list[tuple[str, str, str, dict[str, object], type[LabctlError]]] = [
        ("explode", "ada", LAB, {}, UsageError),
        ("verify", "nobody", LAB, {}, NotFoundError),
        ("verify", "ada", "no-lab", {}, NotFoundError),
        ("extend", "ada", LAB, {"more_s": 1}, UsageError),
        ("extend", "ada", LAB, {"more_s": float("nan")}, UsageError),
        ("extend", "ada", LAB, {"more_s": 1e12}, UsageError),
        ("extend", "ada", LAB, {}, UsageError),
        ("message", "ada", "", {"text": "  "}, UsageError),
        ("message", "ada", "", {"text": "x" * 2001}, UsageError),
        ("message", "nobody", "", {"text": "x"}, NotFoundError),
    ]
    for action, learner, lab, values, error in cases:
        with pytest.raises(error):
            actions.ask(EVE, action, learner, lab, values)
    with pytest.raises(UsageError, match="the key has 101 characters"):
        actions.ask(EVE, "end", "ada", LAB, key="x" * 101)
    assert room.ctx.store.journal.entries("autumn") == []


def test_what_fails_is_told_with_its_reason(room: Room, actions: Actions) -> None:
    place = Path(session(room).workspace)
    actions.wait(actions.ask(EVE, "end", "ada", LAB).id, WAIT_S)
    with pytest.raises(NotFoundError, match="is not running"):
        actions.ask(ADA, "verify", "ada", LAB)
    place.rename(place.with_name("away"))
    place.write_text("in the way")
    entry = done(actions, actions.ask(EVE, "restart", "ada", LAB))
    assert entry.outcome == "failed"
    assert str(place) in entry.words


def test_a_message_is_one_learners_or_everybodys(room: Room, actions: Actions) -> None:
    assert actions.ask(EVE, "message", "ada", values={"text": " <b>well done</b> "}).words == "sent"
    assert actions.ask(EVE, "message", "", values={"text": "ten minutes left"}).words == "sent to 2"
    texts = {who: [m.text for m in room.ctx.store.journal.messages("autumn", who)] for who in ("ada", "bob")}
    assert texts == {"ada": ["ten minutes left", "<b>well done</b>"], "bob": ["ten minutes left"]}


def test_a_learner_who_asks_too_often_is_told_how_long_to_wait(room: Room, actions: Actions) -> None:
    for _ in range(6):
        done(actions, actions.ask(ADA, "verify", "ada", LAB))
    with pytest.raises(TooOften) as caught:
        actions.ask(ADA, "verify", "ada", LAB)
    assert 0 < caught.value.wait_s <= 10
    done(actions, actions.ask(BOB, "verify", "bob", LAB))
    done(actions, actions.ask(EVE, "verify", "ada", LAB))


def test_who_asks_while_it_is_being_done_gets_the_same(room: Room, actions: Actions) -> None:
    with session_lock(room.ctx.settings.home, session(room).id):  # as if somebody else worked on it
        first = actions.ask(EVE, "end", "ada", LAB)
        assert actions.ask(EVE, "end", "ada", LAB).id == first.id
        waiting = actions.wait(first.id, 0.01)
        assert waiting is not None
        assert waiting.outcome == ""
    assert done(actions, first).outcome == "done"


def test_what_a_board_that_died_left_undone_the_next_one_does_once(room: Room) -> None:
    journal, now = room.ctx.store.journal, room.ctx.now()
    until = "2026-01-02T12:00:00Z"

    def left(action: str, learner: str, **request: object) -> Entry:
        lab, id = (LAB, session(room, learner or "ada").id) if action != "message" else ("", "")
        return journal.begin(
            Entry(at=now, actor="eve", role="instructor", action=action, cohort="autumn", learner=learner, lab=lab,
                  session=id, request=request)
        )[0]  # fmt: skip

    undone = [
        left("extend", "ada", more_s=60, until=until),
        left("extend", "ada", more_s=60, until=until),
        left("message", "", text="hello"),
        left("verify", "ada"),
        left("restart", "bob"),
    ]
    DEEDS["message"].run(room, undone[2])  # it had come as far as that
    first, second = Actions(room), Actions(room)
    assert first.resume() == 5
    assert second.resume() == 0  # the first lives
    assert [done(first, entry).outcome for entry in undone] == ["done"] * 5
    assert journal.unfinished("autumn") == []
    expires = session(room).expires_at
    assert expires is not None
    assert expires.hour == 12
    assert [message.text for message in journal.messages("autumn", "ada")] == ["hello"]
    assert len(room.ctx.store.reports(session(room).id)) == 1
    assert session(room, "bob").state is SessionState.RUNNING
    first.close()
    assert second.resume() == 0
    second.close()
