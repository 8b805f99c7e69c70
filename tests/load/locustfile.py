"""Learners who look at their labs through the API, some of whom have their work verified again and again.

`locust -f tests/load/locustfile.py --headless -u 200 -t 60s --host http://…/services/board/api/v1` with LABCTL_LOAD_LEARNERS, a JSON file of
`[{"id": …, "token": …, "lab": …, "verifies": true}]`. `python -m bench.run board_load` makes all of that and runs it.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import HttpUser, between, constant_pacing, task

LOOKS_EVERY_S = 5.0
ASKS_EVERY_S = 10.0
GIVES_UP_S = 120.0

with Path(os.environ["LABCTL_LOAD_LEARNERS"]).open(encoding="utf-8") as stream:
    LEARNERS: list[dict[str, Any]] = json.load(stream)
_looking = itertools.cycle([each for each in LEARNERS if not each["verifies"]] or LEARNERS)
_verifying = itertools.cycle([each for each in LEARNERS if each["verifies"]] or LEARNERS)


class Looking(HttpUser):
    """Looks at their own labs every five seconds, as the page of the board does without events."""

    wait_time = constant_pacing(LOOKS_EVERY_S)
    fixed_count = sum(not each["verifies"] for each in LEARNERS)

    def on_start(self) -> None:
        self._begin(next(_looking))

    def _begin(self, learner: dict[str, Any]) -> None:
        self.learner = learner
        self.client.headers["Authorization"] = f"token {learner['token']}"

    @task
    def look(self) -> None:
        with self.client.get(f"learners/{self.learner['id']}", name="look", catch_response=True) as answer:
            if answer.status_code == 200 and answer.json()["id"] != self.learner["id"]:
                answer.failure("somebody else was shown")


class Verifying(Looking):
    """Looks as the others do; and has their work verified about every ten seconds, and waits for what comes of it."""

    fixed_count = sum(bool(each["verifies"]) for each in LEARNERS)
    pause = between(ASKS_EVERY_S * 0.8, ASKS_EVERY_S * 1.2)

    def on_start(self) -> None:
        self._begin(next(_verifying))
        self.asking = gevent.spawn(self._ask_again_and_again)

    def on_stop(self) -> None:
        self.asking.kill()

    def _ask_again_and_again(self) -> None:
        while True:
            gevent.sleep(self.pause())
            self._verify()

    def _verify(self) -> None:
        path = f"learners/{self.learner['id']}/labs/{self.learner['lab']}/verify"
        began = time.monotonic()
        asked = self.client.post(path, name="ask to verify")
        if asked.status_code != 202:
            return
        action = asked.json()
        while action["state"] == "open" and time.monotonic() - began < GIVES_UP_S:
            gevent.sleep(1.0)
            answer = self.client.get(f"actions/{action['id']}", name="ask how far it is")
            action = answer.json() if answer.status_code == 200 else action
        problem = None if action["state"] == "done" else RuntimeError(f"{action['state']}: {action['message']}")
        took_ms = (time.monotonic() - began) * 1000
        self.environment.events.request.fire(
            request_type="", name="verified", response_time=took_ms, response_length=0, exception=problem, context={}
        )
