"""The API behind a real Hub: its tokens, and a board that is killed with work in hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.board.portal import Portal, until

pytestmark = pytest.mark.xdist_group("board")  # one Hub for all of them
WAIT_S = 120.0
ACCESS = "access:services!service=board"


def token(served: Portal, who: str, *scopes: str) -> str:
    """A new token of the user, as they would make it on the Hub's page."""
    with served.logged_in(who) as browser:
        page = browser.get(f"{served.url}hub/token")
        xsrf = page.text.partition('xsrf_token: "')[2].partition('"')[0]
        path = f"{served.url}hub/api/users/{who}/tokens"
        body = {"note": "test", **({"scopes": list(scopes)} if scopes else {})}
        answer = browser.post(path, json=body, headers={"X-XSRFToken": xsrf, "Referer": f"{served.url}hub/token"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])


def api(served: Portal, token: str) -> httpx.Client:
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(base_url=f"{served.board}api/v1/", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def teacher(served: Portal) -> Iterator[httpx.Client]:
    with api(served, token(served, "teacher")) as client:
        yield client


def finished(client: httpx.Client, action: Any) -> Any:
    seen: dict[str, Any] = {}

    def is_done() -> bool:
        try:
            answer = client.get(f"actions/{action['id']}")
        except httpx.HTTPError:
            return False
        seen.update(answer.json() if answer.status_code == 200 else {"state": "open"})
        return bool(seen["state"] != "open")

    until(is_done, WAIT_S)
    return seen


def test_a_learners_token_is_for_their_own_work_alone(served: Portal) -> None:
    with api(served, token(served, "s3", ACCESS)) as client:
        assert client.get("me").json() == {"name": "s3", "role": "learner", "learner": "s3"}
        assert [each["state"] for each in client.get("learners/s3").json()["labs"]] == ["running"]
        for path in ("learners/s4", "learners", "learners/s4/labs/small-lab/attempts", "matrix/small-lab"):
            assert client.get(path).status_code == 403
        assert client.post("learners/s4/labs/small-lab/verify").status_code == 403
        served.solve("s3", "tokens")
        asked = client.post("learners/s3/labs/small-lab/verify")
        assert asked.status_code == 202
        done = finished(client, asked.json())
        assert (done["state"], done["message"].partition(" of ")[0]) == ("done", "5")


def test_a_token_that_is_not_for_the_board_is_not_taken(served: Portal) -> None:
    with api(served, token(served, "s3", "read:users!user=s3")) as client:
        assert client.get("me").status_code == 401
    with api(served, "f" * 32) as client:
        assert client.get("me").json()["error"]["code"] == "login_wanted"


def test_an_instructors_token_is_for_the_class(teacher: httpx.Client) -> None:
    first = teacher.get("learners", params={"limit": 5}).json()
    assert len(first["items"]) == 5
    second = teacher.get("learners", params={"limit": 200, "cursor": first["next"]}).json()
    assert len(second["items"]) == 7
    assert second["next"] is None


def test_a_service_of_the_hub_sees_the_class_with_the_scope_for_it_alone(served: Portal) -> None:
    with api(served, "gradebook" * 4) as client:
        assert client.get("me").json() == {"name": "service:gradebook", "role": "instructor", "learner": None}
        assert len(client.get("learners").json()["items"]) == 12
    with api(served, "clock" * 4) as client:
        assert client.get("me").json()["role"] == "learner"
        assert client.get("learners").status_code == 403
        assert client.get("learners/s1").status_code == 403
        assert client.get("actions").json()["items"] == []


def test_a_board_that_is_killed_with_work_in_hand_does_it_when_it_is_there_again(
    served: Portal, teacher: httpx.Client
) -> None:
    asked = [
        teacher.post(f"learners/s{number}/labs/small-lab/{verb}", headers={"Idempotency-Key": f"{verb}-{number}"})
        for number, verb in ((5, "restart"), (10, "verify"), (6, "restart"), (11, "verify"), (7, "restart"))
    ]
    extended = teacher.post(
        "learners/s9/labs/small-lab/extend", json={"seconds": 3600}, headers={"Idempotency-Key": "extend-9"}
    ).json()
    board = next(
        each
        for each in psutil.Process(served.processes[-1].pid).children(recursive=True)
        if "labctl.hub.board" in each.cmdline()
    )
    board.kill()
    board.wait(WAIT_S)
    done = [finished(teacher, answer.json()) for answer in asked]
    assert {each["state"] for each in done} == {"done"}
    assert [each["message"] for each in done if each["action"] == "restart"] == [
        "started anew; the files are as they were"
    ] * 3
    again = teacher.post(
        "learners/s9/labs/small-lab/extend", json={"seconds": 3600}, headers={"Idempotency-Key": "extend-9"}
    ).json()
    assert (again["id"], again["request"]) == (extended["id"], extended["request"])
    assert teacher.get("learners/s5").json()["labs"][0]["state"] == "running"
