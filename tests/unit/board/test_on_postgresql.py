"""The board's work on PostgreSQL: the same as on SQLite, which the other tests are on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from labctl import settings
from labctl.hub.board.actions import Actions
from labctl.hub.board.hooks import Hook
from labctl.hub.board.posting import Post
from labctl.hub.board.room import Room
from labctl.sessions.context import Context
from labctl.store.store import Store
from tests.unit.board.apis import board, client, headers
from tests.unit.board.classes import EVE, LAB, make, start
from tests.unit.board.receivers import receiver


@pytest.fixture
def room(
    ctx: Context,
    home: Path,
    write_lab: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    postgresql_database: str,
) -> Room:
    monkeypatch.setenv("LABCTL_DATABASE_URL", postgresql_database)
    chosen = settings.load()
    write_lab()
    made = make(replace(ctx, settings=chosen, store=Store(chosen)), home / "autumn")
    start(made)
    return made


def test_a_learners_hour(room: Room) -> None:
    session = f"{LAB}--autumn--ada"
    before = room.ctx.store.session(session)
    assert before is not None
    assert before.expires_at is not None
    with receiver() as listener:
        post = Post(room, [Hook(url=listener.url, events=("verified",), secret=b"0123456789abcdef")])
        post.look()
        actions = Actions(room)
        with ThreadPoolExecutor(6) as pool:
            keys = ["a", "a", "b", "b", None, None]
            list(pool.map(lambda key: actions.ask(EVE, "extend", "ada", LAB, {"more_s": 60}, key), keys))
        actions.ask(EVE, "message", "", values={"text": "李雷 <b>"})
        done = actions.wait(actions.ask(EVE, "verify", "ada", LAB).id, 30)
        assert done is not None
        assert done.outcome == "done"
        actions.close()
        post.look()
        post.look()
        post.deliver()
        post.close()
        assert len(listener.came) == 1
    after = room.ctx.store.session(session)
    assert after is not None
    assert after.expires_at == before.expires_at + timedelta(minutes=4)
    with client(board(room)) as api:
        place = api.get(f"learners/ada/labs/{LAB}", headers=headers("ada")).json()
        assert (place["attempts"], place["state"]) == (1, "running")
        assert [each["text"] for each in api.get("learners/ada/messages", headers=headers("ada")).json()] == [
            "李雷 <b>"
        ]
        log = api.get("actions?learner=ada", headers=headers("eve")).json()["items"]
        assert [each["action"] for each in log] == ["verify", *["extend"] * 4]
        assert [each["status"] for each in api.get("deliveries", headers=headers("eve")).json()["items"]] == [204]
