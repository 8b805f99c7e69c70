"""The API: what it answers to whom, and that nobody gets at what is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from labctl.hub.board.api.document import openapi
from labctl.hub.board.room import Room
from labctl.sessions.context import Context
from labctl.store.records import Delivery
from tests.unit.board.apis import board, client, headers
from tests.unit.board.classes import LAB, make, start

WAIT_S = 30.0
ADAS = f"learners/ada/labs/{LAB}"


@pytest.fixture
def room(ctx: Context, home: Path, write_lab: Callable[..., Path]) -> Room:
    write_lab()
    made = make(ctx, home / "autumn", more="title: Autumn term\n")
    start(made)
    return made


@pytest.fixture
def api(room: Room) -> Iterator[TestClient]:
    with client(board(room)) as made:
        yield made


def get(api: TestClient, path: str, who: str = "eve", code: int = 200) -> Any:
    answer = api.get(path, headers=headers(who))
    assert answer.status_code == code, answer.text
    return answer.json()


def post(api: TestClient, path: str, who: str = "eve", code: int = 200, json: Any = None, key: str = "") -> Any:
    more = {"Idempotency-Key": key} if key else {}
    answer = api.post(path, headers={**headers(who), **more}, json=json)
    assert answer.status_code == code, answer.text
    return answer.json() if answer.content else None


def finished(api: TestClient, action: Any, who: str = "eve") -> Any:
    until = time.monotonic() + WAIT_S
    while (seen := get(api, f"actions/{action['id']}", who))["state"] == "open":
        assert time.monotonic() < until
    return seen


def test_a_class_is_told_with_its_labs(api: TestClient) -> None:
    found = get(api, "class", "ada")
    assert (found["name"], found["title"], found["closes"]) == ("autumn", "Autumn term", None)
    (lab,) = found["labs"]
    assert (lab["id"], lab["max_points"]) == (LAB, 10)
    assert [each["id"] for each in lab["criteria"]] == ["written", "served"]
    assert get(api, "me", "ada") == {"name": "ada@example.org", "role": "learner", "learner": "ada"}
    assert get(api, "me")["role"] == "instructor"


def test_learners_are_told_page_by_page(api: TestClient) -> None:
    first = get(api, "learners?limit=1")
    assert ([each["id"] for each in first["items"]], first["next"]) == (["ada"], "ada")
    second = get(api, f"learners?limit=1&cursor={first['next']}")
    assert ([each["name"] for each in second["items"]], second["next"]) == (["Bob"], None)
    assert get(api, "learners?cursor=nobody")["items"] == []


def test_a_learner_verifies_and_reads_the_report(api: TestClient, room: Room) -> None:
    session = room.ctx.store.session(f"{LAB}--autumn--ada")
    assert session is not None
    (Path(session.workspace) / "answer.txt").write_text("yes")
    asked = api.post(f"{ADAS}/verify", headers=headers("ada"))
    assert asked.status_code == 202
    assert asked.headers["location"] == f"/services/board/api/v1/actions/{asked.json()['id']}"
    done = finished(api, asked.json(), "ada")
    assert (done["state"], done["message"], done["actor"]) == ("done", "10 of 10 points", "ada@example.org")
    place = get(api, ADAS, "ada")
    assert (place["state"], place["outcomes"], place["points"]) == (
        "running",
        {"written": "pass", "served": "pass"},
        10,
    )
    (attempt,) = get(api, f"{ADAS}/attempts", "ada")["items"]
    report = get(api, f"{ADAS}/attempts/{attempt['id']}", "ada")
    assert (report["score"], report["session"], len(report["criteria"])) == (10, session.id, 2)
    assert get(api, "learners/bob", "bob")["labs"][0]["attempts"] == 0


def test_an_instructor_extends_ends_and_restarts(api: TestClient, room: Room) -> None:
    before = get(api, ADAS)["expires_at"]
    asked = post(api, f"{ADAS}/extend", json={"seconds": 3600}, key="k1")
    assert post(api, f"{ADAS}/extend", json={"seconds": 3600}, key="k1") == asked
    assert get(api, ADAS)["expires_at"] == before.replace("T11", "T12")
    error = post(api, f"{ADAS}/extend", code=409, json={"seconds": 60}, key="k1")["error"]
    assert error["code"] == "refused"
    assert finished(api, post(api, f"{ADAS}/end", code=202))["message"] == "ended; the files stay"
    assert get(api, ADAS)["state"] == "stopped"
    assert post(api, f"{ADAS}/verify", code=404)["error"]["hint"] == "start it first"
    assert finished(api, post(api, f"{ADAS}/restart", code=202))["state"] == "done"
    assert get(api, ADAS)["state"] == "running"
    assert [each["action"] for each in get(api, "actions?learner=ada")["items"]] == ["restart", "end", "extend"]
    second = get(api, f"actions?limit=1&cursor={get(api, 'actions?limit=1')['next']}")
    assert [each["action"] for each in second["items"]] == ["end"]


def test_messages_reach_their_learners_and_are_put_away(api: TestClient) -> None:
    post(api, "learners/ada/send", json={"text": "<script>alert(1)</script>"})
    post(api, "send", json={"text": "ten minutes"})
    letters = get(api, "learners/ada/messages?unread=true", "ada")
    assert [each["text"] for each in letters] == ["ten minutes", "<script>alert(1)</script>"]
    post(api, f"learners/ada/messages/{letters[0]['id']}/read", "ada", 204)
    post(api, f"learners/ada/messages/{letters[0]['id']}/read", "ada", 204)
    assert len(get(api, "learners/ada/messages?unread=true", "ada")) == 1
    assert len(get(api, "learners/bob/messages", "bob")) == 1
    post(api, f"learners/bob/messages/{letters[1]['id']}/read", "bob", 404)


def test_the_matrix_is_told_whole_and_then_only_what_changed(api: TestClient) -> None:
    first = get(api, f"matrix/{LAB}")
    assert [row["learner"] for row in first["rows"]] == ["ada", "bob"]
    assert get(api, f"matrix/{LAB}?since={first['version']}")["rows"] == []
    finished(api, post(api, f"{ADAS}/verify", code=202))
    second = get(api, f"matrix/{LAB}?since={first['version']}")
    assert [(row["learner"], row["attempts"]) for row in second["rows"]] == [("ada", 1)]
    assert len(get(api, f"matrix/{LAB}?since=abc.7")["rows"]) == 2
    get(api, "matrix/no-lab", code=404)


def operations() -> list[tuple[str, str]]:
    """Every operation there is, so that a new one is tried too."""
    document = openapi()
    return [(method, path) for path, methods in sorted(document["paths"].items()) for method in sorted(methods)]


PUBLIC_TO_LEARNERS = {("get", "/api/v1/class"), ("get", "/api/v1/me"), ("get", "/api/v1/actions")}
BODIES = {"extend": {"seconds": 60}, "send": {"text": "hello"}}


def ask(api: TestClient, method: str, path: str, who: str | None, learner: str) -> Any:
    made = path.removeprefix("/api/v1/").format(learner=learner, lab=LAB, attempt=1, message=1, action=1)
    body = BODIES.get(made.rpartition("/")[2]) if method == "post" else None
    return api.request(method, made, headers=headers(who) if who else {}, json=body)


@pytest.fixture
def busy(api: TestClient, room: Room) -> TestClient:
    """A board on which something is to be seen of ada and nothing of bob."""
    post(api, "learners/ada/send", json={"text": "a secret of ada's"})
    finished(api, post(api, f"{ADAS}/verify", code=202))
    return api


@pytest.mark.parametrize("who", ["bob", "mallory"])
def test_a_learner_gets_at_nothing_of_anothers(busy: TestClient, room: Room, who: str) -> None:
    before = room.ctx.store.changes("autumn")
    for method, path in operations():
        answer = ask(busy, method, path, who, "ada")
        allowed = (200,) if (method, path) in PUBLIC_TO_LEARNERS else (403, 404)
        assert answer.status_code in allowed, f"{method} {path}: {answer.text}"
        assert "ada" not in answer.text.lower(), f"{method} {path}"
    assert room.ctx.store.changes("autumn") == before


def test_without_a_token_that_is_known_nothing_is_answered(api: TestClient) -> None:
    for method, path in operations():
        for who in (None, "guessed", ""):
            answer = ask(api, method, path, who, "ada")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "login_wanted"), f"{method} {path}"


def test_a_cookie_does_not_stand_for_a_token(api: TestClient) -> None:
    api.cookies.set("labctl-board", "eve")
    assert api.get("me").status_code == 401


def test_whether_somebody_is_in_the_class_is_not_told_to_others(api: TestClient) -> None:
    there, not_there = (get(api, f"learners/{who}", "bob", 403) for who in ("ada", "nobody"))
    assert there == not_there


def test_wrong_requests_are_answered_in_one_form(api: TestClient) -> None:
    for path, code in (
        ("learners/nobody", 404),
        ("learners?limit=0", 422),
        ("learners/ÄÖ", 422),
        ("no-such", 404),
        ("actions?learnr=ada", 422),
    ):
        error = get(api, path, code=code)["error"]
        assert sorted(error) == ["code", "hint", "message"]
    for body in ({"seconds": "3600"}, {"seconds": 1}, {"seconds": True}, {}, {"seconds": 3600, "more": 1}):
        assert post(api, f"{ADAS}/extend", code=422, json=body)["error"]["code"] == "wrong_request"
    assert post(api, "send", code=422, json={"text": " \n"})["error"]["code"] == "wrong_request"


def test_who_asks_too_often_is_told_when_to_come_back(api: TestClient, room: Room) -> None:
    for _ in range(6):
        finished(api, post(api, f"{ADAS}/verify", "ada", 202), "ada")
    answer = api.post(f"{ADAS}/verify", headers=headers("ada"))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 10
    assert answer.json()["error"]["code"] == "too_often"


def test_the_document_needs_no_token_and_names_the_boards_place(api: TestClient) -> None:
    found = api.get("openapi.json").json()
    assert found["servers"] == [{"url": "/services/board"}]
    assert found["paths"] == openapi()["paths"]


def test_an_expired_session_is_told_as_that(api: TestClient, room: Room, clock: Any) -> None:
    clock.advance(hours=9)
    assert get(api, ADAS)["state"] == "expired"


def test_what_was_posted_is_told_without_what_it_said_and_without_the_addresss_password(
    api: TestClient, room: Room
) -> None:
    now = room.ctx.now()
    for number in range(3):
        made = Delivery(
            hook="https://grades.example.org/x?key=secret", event="verified", subject=f"verified:{number}",
            cohort="autumn", at=now, body='{"learner": "ada"}', next_at=now,
        )  # fmt: skip
        room.ctx.store.outbox.add("autumn", made.hook, number, [made])
    first = get(api, "deliveries?limit=2")
    assert [(each["hook"], each["delivered_at"]) for each in first["items"]] == [
        ("https://grades.example.org/x", None)
    ] * 2
    assert len(get(api, f"deliveries?cursor={first['next']}")["items"]) == 1
    assert "secret" not in str(first)
    assert "ada" not in str(first)
