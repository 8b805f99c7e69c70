"""`cohort up` killed twenty times at any moment: the next one goes on, nobody's files are lost, nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

LEARNERS = [str(number) for number in range(6)]
KILLS = 20


def labctl(*args: str) -> Any:
    command = [sys.executable, "-m", "labctl", *args, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def of_this_home(home: Path) -> list[int]:
    """The processes whose environment names a LABCTL_HOME below `home`, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LABCTL_HOME", "").startswith(str(home)):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.slow
def test_a_class_outlives_twenty_kills_of_cohort_up(home: Path, write_lab: Callable[..., Path]) -> None:
    write_lab()
    folder = home / "autumn"
    folder.mkdir()
    (folder / "cohort.yaml").write_text("labs: [small-lab]\nroster: roster.csv\nruntime: local\novercommit: 100\n")
    (folder / "roster.csv").write_text("Name,ID\n" + "".join(f"Learner {one},{one}\n" for one in LEARNERS))
    draw = random.Random(20)
    began = time.monotonic()
    labctl("cohort", "up", str(folder))
    whole_s = time.monotonic() - began
    written = {}
    for number in range(KILLS):
        # What one learner has written, and a class of which some sessions run and some do not.
        live = labctl("status")["sessions"]
        for session in live:
            file = Path(session["workspace"]) / f"work-{number}.txt"
            file.write_text(str(number))
            written[file] = str(number)
        for session in draw.sample(live, min(2, len(live))):
            labctl("down", session["session"])
        up = subprocess.Popen([sys.executable, "-m", "labctl", "cohort", "up", str(folder)], stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(timeout=draw.uniform(0, whole_s))
        up.send_signal(signal.SIGKILL)
        up.wait()
    started = labctl("cohort", "up", str(folder))["sessions"]
    assert {row["learner"]: row["problem"] for row in started} == dict.fromkeys(LEARNERS)
    assert len(labctl("status")["sessions"]) == len(LEARNERS)
    assert {file: file.read_text() for file in written} == written
    labctl("cohort", "down", str(folder))
    labctl("gc")
    assert of_this_home(home) == []
