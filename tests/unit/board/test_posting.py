"""What happens in a class is posted: once, signed, again later where it did not arrive, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.hub.board.hooks import Hook
from labctl.hub.board.posting import AGAIN_AFTER_S, Post, settled, signature
from labctl.hub.board.room import Room
from labctl.progress import Step
from labctl.sessions.context import Context
from labctl.sessions.end import down, gc
from labctl.sessions.verify import verify
from labctl.store.records import Session, SessionState
from tests.unit.board.classes import LAB, make, start
from tests.unit.board.receivers import Receiver, receiver
from tests.unit.store.test_outbox import NOON, delivery

SECRET = b"0123456789abcdef"


def quiet(_step: Step) -> None:
    return


@pytest.fixture
def room(ctx: Context, home: Path, write_lab: Callable[..., Path]) -> Room:
    write_lab()
    made = make(ctx, home / "autumn")
    start(made)
    return made


@pytest.fixture
def listener() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def hook(url: str, *events: str) -> Hook:
    return Hook(url=url, events=events or ("verified", "expired", "failed"), secret=SECRET)


@pytest.fixture
def post(room: Room, listener: Receiver) -> Iterator[Post]:
    made = Post(room, [hook(listener.url)])
    made.look()
    yield made
    made.close()


def session(room: Room, learner: str = "ada") -> Session:
    found = room.ctx.store.session(f"{LAB}--autumn--{learner}")
    assert found is not None
    return found


def happened(room: Room) -> None:
    verify(room.ctx, session(room))


def bodies(listener: Receiver) -> list[Any]:
    return [json.loads(body) for _, body in listener.came]


def test_a_report_is_posted_once_and_signed(room: Room, post: Post, listener: Receiver) -> None:
    happened(room)
    for _ in range(3):
        post.look()
        post.deliver()
    ((headers, body),) = listener.came
    told = json.loads(body)
    assert (told["event"], told["cohort"], told["lab"]) == ("verified", "autumn", LAB)
    assert told["learner"] == {"id": "ada", "name": "Ada Lovelace", "email": "ada@example.org", "number": "ada"}
    assert (told["attempt"]["score"], told["attempt"]["max_score"], told["attempt"]["passed"]) == (0, 10, False)
    id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    assert timestamp == str(int(room.ctx.now().timestamp()))
    assert headers["webhook-signature"] == signature(SECRET, id, timestamp, body)
    assert headers["webhook-signature"] != signature(SECRET + b"x", id, timestamp, body)
    (kept,) = room.ctx.store.outbox.deliveries("autumn")
    assert (kept.attempts, kept.status, kept.next_at, kept.delivered_at) == (1, 204, None, room.ctx.now())


def test_a_session_whose_time_is_over_is_told_once_whether_it_is_ended_or_not(
    room: Room, post: Post, listener: Receiver, clock: Any
) -> None:
    down(room.ctx, session(room, "bob"), quiet)  # not a question of time
    clock.advance(hours=9)
    post.look()
    gc(room.ctx, quiet)
    post.look()
    post.deliver()
    (told,) = bodies(listener)
    assert (told["event"], told["learner"]["id"], told["expires_at"]) == ("expired", "ada", "2026-01-02T11:04:05Z")


def test_a_session_that_expired_and_was_ended_while_nobody_looked_is_told(
    room: Room, post: Post, listener: Receiver, clock: Any
) -> None:
    clock.advance(hours=9)
    gc(room.ctx, quiet)
    again = Post(room, [hook(listener.url)])
    again.look()
    again.deliver()
    assert sorted(each["learner"]["id"] for each in bodies(listener)) == ["ada", "bob"]
    again.close()


def test_a_session_that_failed_is_told_with_its_reason(room: Room, post: Post, listener: Receiver) -> None:
    for _ in range(2):
        room.ctx.store.set_state(session(room), SessionState.FAILED, "page did not become healthy")
        post.look()
    post.deliver()
    assert [(each["event"], each["reason"]) for each in bodies(listener)] == [("failed", "page did not become healthy")]


def test_a_hook_hears_only_of_what_it_wants_and_nothing_of_before_there_was_it(
    room: Room, post: Post, listener: Receiver, clock: Any
) -> None:
    happened(room)
    with receiver() as other:
        late = Post(room, [hook(other.url, "expired")])
        late.look()
        happened(room)
        clock.advance(hours=9)
        late.look()
        late.deliver()
        late.close()
        assert {each["event"] for each in bodies(other)} == {"expired"}
    with receiver() as third:
        latest = Post(room, [hook(third.url, "verified")])
        latest.look()
        happened(room)
        latest.look()
        latest.deliver()
        latest.close()
        assert [each["attempt"]["id"] for each in bodies(third)] == [3]


def test_what_does_not_arrive_is_tried_again_later_and_later(
    room: Room, post: Post, listener: Receiver, clock: Any
) -> None:
    listener.answers = [500, 503, 204]
    happened(room)
    post.look()
    post.deliver()
    post.deliver()
    assert len(listener.came) == 1
    clock.advance(seconds=AGAIN_AFTER_S[0])
    post.deliver()
    clock.advance(seconds=AGAIN_AFTER_S[0])
    post.deliver()
    assert len(listener.came) == 2
    clock.advance(seconds=AGAIN_AFTER_S[1])
    post.deliver()
    assert len({headers["webhook-id"] for headers, _ in listener.came}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in listener.came}) == 3
    (kept,) = room.ctx.store.outbox.deliveries("autumn")
    assert (kept.attempts, kept.status, kept.problem) == (3, 204, "")


def test_a_redirect_is_not_followed(room: Room, post: Post, listener: Receiver) -> None:
    with receiver() as elsewhere:
        listener.answers, listener.location = [307], elsewhere.url
        happened(room)
        post.look()
        post.deliver()
        assert elsewhere.came == []
    (kept,) = room.ctx.store.outbox.deliveries("autumn")
    assert (kept.status, kept.delivered_at) == (307, None)
    assert "redirects are not followed" in kept.problem


def test_one_hook_that_does_not_answer_keeps_nobody_else_waiting(room: Room, listener: Receiver) -> None:
    with receiver() as gone:
        url = gone.url
    both = Post(room, [hook(url), hook(listener.url)])
    both.look()
    happened(room)
    both.look()
    both.deliver()
    both.close()
    assert len(listener.came) == 1
    problems = {each.hook: each.problem for each in room.ctx.store.outbox.deliveries("autumn")}
    assert problems[listener.url] == ""
    assert problems[url].startswith("ConnectError")


def test_it_is_given_up_when_the_address_is_gone_or_has_not_answered_for_days() -> None:
    each = delivery()
    assert settled(each, 410, "", NOON).next_at is None
    for _ in AGAIN_AFTER_S:
        each = settled(each, 500, "", NOON)
        assert each.next_at is not None
    last = settled(each, 500, "", NOON)
    assert (last.next_at, last.problem) == (None, "answered 500; given up")


def test_the_thread_posts_by_itself(room: Room, listener: Receiver) -> None:
    made = Post(room, [hook(listener.url)])
    made.look()
    made.start()
    happened(room)
    assert listener.arrived.wait(30)
    made.close()
    assert len(listener.came) == 1
