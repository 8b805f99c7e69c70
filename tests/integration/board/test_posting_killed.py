"""What is to be posted survives whoever posts it: killed again and again, everything has arrived in the end."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from labctl.sessions.context import Context
from labctl.sessions.verify import verify
from tests.unit.board.classes import LAB, make, start
from tests.unit.board.receivers import Receiver, receiver

ROUNDS = 6
WAIT_S = 60.0
POSTING = """
import os, sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from labctl.hub.board.hooks import hooks
from labctl.hub.board.posting import Post
from labctl.hub.board.room import open_room
from labctl.sessions.context import here

later = timedelta(minutes=float(sys.argv[2]))  # what was taken by one that was killed is free again
room = open_room(replace(here(), now=lambda: datetime.now(UTC) + later), Path(sys.argv[1]))
post = Post(room, hooks(room.file, os.environ))
post.look()
post.start()
print("ready", flush=True)
sys.stdin.read()
"""


def attempts(found: Receiver) -> set[int]:
    return {json.loads(body)["attempt"]["id"] for _, body in found.came}


def test_nothing_is_lost_however_often_whoever_posts_is_killed(
    ctx: Context, home: Path, write_lab: Callable[..., Path]
) -> None:
    write_lab()
    folder, wait = home / "autumn", threading.Event()
    folder.mkdir()
    (folder / "hook.secret").write_text("0123456789abcdef")
    (folder / "hook.secret").chmod(0o600)
    with receiver() as found:
        hook = f"{{url: '{found.url}', secret_file: hook.secret, events: [verified]}}"
        room = make(ctx, folder, more=f"webhooks:\n  - {hook}\n")
        start(room)
        chance = random.Random(7)
        for number in range(ROUNDS):
            found.answers = [500, 204] if number % 2 else [204]
            last = number == ROUNDS - 1
            command = [sys.executable, "-c", POSTING, str(folder), str(20 * number)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            with process:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                for learner in ("ada", "bob"):
                    session = room.ctx.store.session(f"{LAB}--autumn--{learner}")
                    assert session is not None
                    verify(room.ctx, session)
                until = WAIT_S if last else chance.uniform(0.5, 1.5)
                while until > 0 and not (last and len(attempts(found)) == 2 * ROUNDS):
                    wait.wait(0.05)
                    until -= 0.05
                process.kill()
    assert attempts(found) == set(range(1, 2 * ROUNDS + 1))
    by_id: dict[str, bytes] = {}
    for headers, body in found.came:
        assert by_id.setdefault(headers["webhook-id"], body) == body
    assert len(by_id) == 2 * ROUNDS
