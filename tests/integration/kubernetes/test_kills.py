"""`labctl up` killed at any moment: the next one finishes it, and `down` leaves nothing but the files. A real cluster."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from labctl.runtimes.base import State
from tests.conformance.homes import until
from tests.conformance.labs import LAB, server
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow]
KILLS = 10
LONGEST_S = 10.0


def test_up_killed_at_any_moment_is_finished_by_the_next_and_ended_by_down(faulty: FaultyHome) -> None:
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    faulty.write({"web": server(restart="on-failure"), "api": server(depends_on=["web"])})
    for number in range(KILLS):
        _kill_after(faulty, moments.uniform(0.3, LONGEST_S))
        if faulty.ctx.store.session(faulty.id()) and number in (3, 7):
            faulty.down()
    faulty.up()
    assert {each.state for each in faulty.status().services} == {State.RUNNING}, f"seed {seed}"
    (faulty.workspace() / "mine.txt").write_text("kept")
    place = faulty.workspace()
    _kill_after(faulty, moments.uniform(0.3, 2.0))
    faulty.down()
    assert faulty.remains() == []
    assert faulty.gc() == []
    assert (place / "mine.txt").read_text() == "kept"
    until(lambda: faulty.api.find("Namespace", None, faulty.namespace) is None, within_s=60)
    volumes = faulty.api.items("PersistentVolume")
    assert [each for each in volumes if faulty.namespace in each["metadata"]["name"]] == []


def _kill_after(faulty: FaultyHome, seconds: float) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")} | faulty.environ
    command = [sys.executable, "-m", "labctl", "up", LAB]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + seconds
        until(lambda: time.monotonic() > deadline or child.poll() is not None)
        child.kill()
