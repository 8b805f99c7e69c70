"""A board that is killed twenty times while it is asked for things: each is done, and done once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from labctl.hub.board.room import Room
from labctl.sessions.context import Context
from tests.unit.board.apis import headers
from tests.unit.board.classes import LAB, make, start

RUNS = 20
WAIT_S = 60.0
SERVING = """
import sys
from dataclasses import replace
from pathlib import Path
from labctl.hub.board.app import create_app
from labctl.hub.board.room import open_room
from labctl.hub.board.serving import listen, serve
from labctl.sessions.context import here
from labctl.testing.runtime import FakeRuntime
from tests.unit.board.apis import board

engine = FakeRuntime()
room = open_room(replace(here(), runtime=lambda _: engine), Path(sys.argv[1]))
listening = listen("127.0.0.1", 0)
print(listening.getsockname()[1], flush=True)
serve(create_app(board(room)), listening)
"""


@dataclass(slots=True)
class Asked:
    """Something that is asked for with its key until it is answered."""

    path: str
    key: str
    json: Any = None
    action: Any = field(default=None)

    def ask(self, client: httpx.Client) -> None:
        try:
            answer = client.post(self.path, json=self.json, headers={"Idempotency-Key": self.key})
        except httpx.HTTPError:  # it was killed: asked again
            return
        assert answer.status_code in (200, 202), answer.text
        self.action = answer.json()


def wanted(number: int) -> list[Asked]:
    """What is asked for in one run."""
    learner = f"learners/ada/labs/{LAB}"
    return [
        Asked(f"{learner}/extend", f"extend-{number}", {"seconds": 60}),
        Asked("learners/ada/send", f"send-{number}", {"text": f"message {number}"}),
        Asked(f"{learner}/verify", f"verify-{number}"),
        Asked("send", f"all-{number}", {"text": f"to all {number}"}),
    ]


@pytest.mark.slow
def test_each_thing_that_was_asked_for_is_done_once(ctx: Context, home: Path, write_lab: Any) -> None:
    write_lab()
    room = make(replace(ctx, now=lambda: datetime.now(UTC)), home / "autumn")
    start(room)
    before = _ends(room)
    chance, pending, asked = random.Random(11), list[Asked](), list[Asked]()
    for number in range(RUNS):
        new = wanted(number)
        asked += new
        pending = _asked_until_killed(home / "autumn", [*pending, *new], chance.uniform(0.2, 2.0))
    _all_done(home / "autumn", asked)
    store = room.ctx.store
    assert _ends(room) == before + timedelta(minutes=RUNS)
    texts = [message.text for message in store.journal.messages("autumn", "ada", limit=500)]
    assert sorted(texts) == sorted([f"{kind} {number}" for number in range(RUNS) for kind in ("message", "to all")])
    assert len(store.journal.messages("autumn", "bob", limit=500)) == RUNS
    assert store.journal.unfinished("autumn") == []
    entries = store.journal.entries("autumn", limit=500)
    assert len(entries) == 4 * RUNS
    assert {entry.outcome for entry in entries} == {"done"}
    assert len(store.attempts_of(f"{LAB}--autumn--ada")) >= RUNS


def _asked_until_killed(folder: Path, todo: list[Asked], lives_s: float) -> list[Asked]:
    """Ask for everything, kill the board in the middle of it; what was not answered."""
    process, client = _serve(folder)
    death = threading.Timer(lives_s, process.kill)
    with process, client:
        death.start()
        for each in todo:
            each.ask(client)
        death.join()
    return [each for each in todo if each.action is None]


def _all_done(folder: Path, asked: list[Asked]) -> None:
    """Ask for what was never answered, and wait for everything."""
    process, client = _serve(folder)
    with process, client:
        for each in asked:
            if each.action is None:
                each.ask(client)
            until = time.monotonic() + WAIT_S
            while (seen := client.get(f"actions/{each.action['id']}").json())["state"] == "open":
                assert time.monotonic() < until, seen
                time.sleep(0.05)
            assert seen["state"] == "done", seen
        process.terminate()


def _serve(folder: Path) -> tuple[subprocess.Popen[str], httpx.Client]:
    """A board, and an instructor's program that speaks to it once it answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    base = f"http://127.0.0.1:{port}/services/board/api/v1/"
    return process, httpx.Client(base_url=base, headers=headers("eve"), timeout=WAIT_S)


def _ends(room: Room) -> datetime:
    session = room.ctx.store.session(f"{LAB}--autumn--ada")
    assert session is not None
    assert session.expires_at is not None
    return session.expires_at


ROOT = Path(__file__).resolve().parents[3]
