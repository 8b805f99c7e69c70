"""The board's pages, without a Hub: what instructors and learners see, and what nobody may."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from labctl.hub.board import forms, pages, streaming
from labctl.hub.board.base import Board
from labctl.hub.board.room import Room
from labctl.hub.board.streaming import MAX_STREAMS
from labctl.sessions.verify import verify
from labctl.store.records import Held

PREFIX = "/services/board/"


def get(client: TestClient, who: str, path: str, status: int = 200, language: str = "en") -> str:
    client.cookies.set("who", who)
    answer = client.get(PREFIX + path, headers={"accept-language": language})
    assert answer.status_code == status, answer.text
    return answer.text


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


def post(client: TestClient, who: str, path: str, status: int = 303, **fields: str) -> str:
    client.cookies.set("who", who)
    answer = client.post(PREFIX + path, data=fields)
    assert answer.status_code == status, answer.text
    return answer.text


def test_an_instructor_sees_who_passed_what(client: TestClient, started: Room) -> None:
    session = started.ctx.store.session("small-lab--autumn--ada")
    assert session is not None
    (Path(session.workspace) / "answer.txt").write_text("yes")
    verify(started.ctx, session)
    page = get(client, "teacher", "class")
    ada = page.split('id="r-ada"')[1].split("</tr>")[0]
    assert "10/10" in ada
    assert ada.count("passed") == 2
    assert "李雷" in page
    assert "&lt;b&gt;Cy&lt;/b&gt; &amp; Co" in page
    assert "<b>Cy" not in page


def test_a_learner_sees_instructions_results_and_hints_of_their_own_lab(client: TestClient, started: Room) -> None:
    session = started.ctx.store.session("small-lab--autumn--bob")
    assert session is not None
    verify(started.ctx, session)
    assert "A small lab" in get(client, "bob", "learners/bob")
    page = get(client, "bob", "learners/bob/small-lab")
    assert "<h3>First</h3>" in page
    assert "Read me" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "answer.txt says yes" in page
    assert "write it" in page
    assert 'href="/hub/spawn/bob/small-lab"' in page


def test_a_learner_verifies_from_the_page(client: TestClient, started: Room) -> None:
    page = get(client, "cy", "learners/cy/small-lab")
    post(client, "cy", "learners/cy/small-lab/verify", csrf=csrf_of(page))
    assert len(started.ctx.store.attempts()["small-lab--autumn--cy"]) == 1


OPEN = {"/", "/language/{code}"}
"""The paths that anybody may ask for: they lead to what is one's own."""
FILLED = {"learner": "ada", "lab": "small-lab", "id": "1", "code": "en"}


def paths(method: str) -> list[str]:
    """Every path that the board answers to this method, about somebody in particular where it is about somebody."""
    found = [route for part in (pages, forms, streaming) for route in part.router.routes]
    asked = [route.path for route in found if isinstance(route, APIRoute) and method in (route.methods or ())]
    actions = ("end", "restart", "verify", "other")
    filled = [path.format(**FILLED, action=action) for path in asked if path not in OPEN for action in actions]
    return [path.removeprefix("/") for path in dict.fromkeys(filled)]


def test_nobody_sees_somebody_elses(client: TestClient, started: Room) -> None:
    asked = [
        *paths("GET"),
        "events?learner=ada",
        "learners/nobody",
        "class/verify?lab=small-lab",
        "class/extend?lab=small-lab",
    ]
    assert len(asked) > 12
    for who in ("cy", "stranger"):
        for path in asked:
            if "?" in path or not path.startswith(("class/verify", "class/extend")):
                assert "Ada Lovelace" not in get(client, who, path, 403), path


def test_a_learner_does_nothing_to_others_and_no_instructors_work(client: TestClient, started: Room) -> None:
    own = csrf_of(get(client, "cy", "learners/cy/small-lab"))
    asked = [path.partition("?")[0] + "?lab=small-lab" for path in paths("POST")]
    of_their_own = [path.replace("/ada/", "/cy/") for path in asked if "verify" not in path]
    assert len(asked) > 8
    for path in [*asked, *of_their_own]:
        expected = 404 if path.endswith(("other?lab=small-lab", "cy/messages/1/read?lab=small-lab")) else 403
        post(client, "cy", path, expected, csrf=own, text="hello", more="2h")
    assert started.ctx.store.journal.entries("autumn") == []


def test_who_is_not_logged_in_is_sent_to_the_login_and_back(client: TestClient) -> None:
    for path in ("", "class", "log", "learners/ada", "learners/ada/small-lab"):
        answer = client.get(PREFIX + path)
        assert (answer.status_code, answer.headers["location"]) == (302, f"{PREFIX}login?next={PREFIX}{path}")


def test_a_form_that_is_not_ours_does_nothing(client: TestClient, started: Room) -> None:
    theirs = csrf_of(get(client, "ada", "learners/ada/small-lab"))
    for forged in ("", "0" * 64, theirs):
        post(client, "cy", "learners/cy/small-lab/verify", 403, csrf=forged)
    client.cookies.set("who", "ada")
    from_elsewhere = {"sec-fetch-site": "cross-site"}
    answer = client.post(f"{PREFIX}learners/ada/small-lab/verify", data={"csrf": theirs}, headers=from_elsewhere)
    assert answer.status_code == 403
    assert started.ctx.store.journal.entries("autumn") == []


def test_every_answer_has_a_strict_policy(client: TestClient, started: Room) -> None:
    client.cookies.set("who", "teacher")
    for path in ("class", "log", "nothing", "static/board.css", "learners/ada/small-lab"):
        answer = client.get(PREFIX + path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script>|\son\w+=|style=|https?://(?!testserver)", answer.text.replace("&lt;", "")), path


def test_a_reader_of_chinese_has_pages_and_instructions_in_it(client: TestClient, started: Room) -> None:
    page = get(client, "bob", "learners/bob/small-lab", language="zh-CN")
    assert '<html lang="zh-Hans">' in page
    assert '<article class="card text" lang="zh-Hans">' in page
    assert "第一步" in page
    assert "剩余时间：" in page
    client.get(f"{PREFIX}language/en?back={PREFIX}learners/bob/small-lab")
    assert "Time left:" in get(client, "bob", "learners/bob/small-lab", language="zh-CN")
    assert get(client, "bob", "language/xx", 404)


def test_only_rows_that_have_changed_are_told(client: TestClient, started: Room) -> None:
    client.cookies.set("who", "teacher")
    rows = f"{PREFIX}rows?lab=small-lab&since="
    first = client.get(rows).json()
    assert first["rows"].count("<tr") == 3
    assert client.get(rows + first["version"]).json() == {"version": first["version"], "rows": "", "summary": ""}
    post(client, "bob", "learners/bob/small-lab/verify", csrf=csrf_of(get(client, "bob", "learners/bob/small-lab")))
    client.cookies.set("who", "teacher")
    second = client.get(rows + first["version"]).json()
    assert 'id="r-bob"' in second["rows"]
    assert second["rows"].count("<tr") == 1
    assert "answer.txt says yes" in second["summary"]
    for of_another_run in ("00000000.1", "nonsense", f"{first['version'].partition('.')[0]}.x", "9" * 50):
        assert client.get(rows + of_another_run).json()["rows"].count("<tr") == 3


def test_somebody_with_very_many_windows_is_told_to_ask_instead(client: TestClient, board: Board) -> None:
    board.streams["teacher"] = MAX_STREAMS
    assert get(client, "teacher", "events?lab=small-lab", 429)


def test_who_asks_for_very_many_pages_waits(client: TestClient, board: Board) -> None:
    while not board.pages.wait_s("bob"):
        pass
    client.cookies.set("who", "bob")
    answer = client.get(f"{PREFIX}learners/bob")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert get(client, "cy", "learners/cy")


def test_an_instructor_gives_everybody_more_time_and_has_all_judged(client: TestClient, started: Room) -> None:
    before = ends(started)
    own = csrf_of(get(client, "teacher", "class/extend?lab=small-lab"))
    post(client, "teacher", "class/extend?lab=small-lab", csrf=own, more="1h", back=f"{PREFIX}class")
    assert ends(started) == {id: at + timedelta(hours=1) for id, at in before.items()}
    post(client, "teacher", "class/verify?lab=small-lab", csrf=own)
    entries = started.ctx.store.journal.entries("autumn")
    assert [entry.action for entry in entries].count("verify") == 3
    for wrong in ("", "soon", "-1h", "999d"):
        post(client, "teacher", "class/extend?lab=small-lab", 422, csrf=own, more=wrong)
    post(client, "teacher", "class/extend?lab=other-lab", 422, csrf=own, more="1h")
    post(client, "teacher", "class/extend?lab=no-lab", 404, csrf=own, more="1h")


def test_a_learner_is_warned_before_an_idle_gpu_goes_back(client: TestClient, started: Room) -> None:
    ctx, id = started.ctx, "small-lab--autumn--cy"
    now, warned = ctx.now(), ctx.now() + timedelta(seconds=1)  # after what the learner did last
    gpu: dict[str, Any] = {"uuid": "GPU-1", "name": "A GPU", "sharing": "exclusive"}
    held = Held(session=id, lab="small-lab", learner="cy", **gpu, since=now, warned_at=warned, seen_at=now)
    with ctx.store.allocating() as allocations:
        allocations.take([held])
    session = ctx.store.session(id)
    assert session is not None
    ctx.store.put(replace(session, idle_timeout_s=600.0))
    page = get(client, "cy", "learners/cy/small-lab")
    assert "its GPU goes back at" in page
    assert 'class="tag gpu">A GPU<' in get(client, "teacher", "class")
    assert "its GPU goes back at" not in get(client, "ada", "learners/ada/small-lab")


def ends(room: Room) -> dict[str, datetime]:
    return {session.id: session.expires_at for session in room.ctx.store.sessions() if session.expires_at}
