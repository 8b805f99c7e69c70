"""The life of an allocation on the local runtime: real processes, the real command line, and a fake NVML library.

Time is not waited for: a ledger's times are moved into the past instead.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.nvml import library

ID = "life--ada"
LAB = """\
title: A lab for a GPU
stage: 1
minutes: 5
profiles:
  cpu: {memory: 16MiB, disk: 1MiB}
  gpu: {memory: 16MiB, disk: 1MiB, gpu: {memory: 16GiB}}
services:
  trainer:
    command: [sleep, "600"]
  board:
    command: [python3, -m, http.server, "{{ port('http') }}", --bind, 127.0.0.1]
    ports: {http: 8000}
    healthcheck: {http: /}
    gpu: false
criteria:
  - id: there
    text: readme.txt is there
    points: 1
    hint: it is
    checks:
      - file: {path: readme.txt}
"""


class Host:
    """A host with one GPU, whose load a test sets."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.load(0)

    def load(self, percent: int) -> None:
        gpu = library.gpu("GPU-1", utilization_percent=percent, memory_utilization_percent=0)
        library.scenario(self.home / "scenario.json", gpus=[gpu])

    def labctl(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(command(*words), capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.labctl(*words, "--json"))

    def session(self) -> Any:
        return self.json("status", "life")["sessions"][0]

    def collected(self, *options: str) -> list[tuple[str, str]]:
        return [(each["session"], each["why"]) for each in self.json("gc", *options)["collected"]]

    def held(self) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.home / "home" / "labctl.db")) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM allocations WHERE released_at IS NULL")]

    def wait(self, seconds: float) -> None:
        """Everything in the ledger, and what the learner did, was so much longer ago; and somebody watched all the time."""
        with closing(sqlite3.connect(self.home / "home" / "labctl.db")) as database, database:
            for column in ("since", "active_at", "warned_at"):
                for id, text in database.execute(
                    f"SELECT id, {column} FROM allocations WHERE {column} NOT NULL"
                ).fetchall():
                    then = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ") - timedelta(seconds=seconds)
                    database.execute(
                        f"UPDATE allocations SET {column} = ? WHERE id = ?", (f"{then:%Y-%m-%dT%H:%M:%SZ}", id)
                    )
            looked = f"{datetime.now(UTC) - timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"
            database.execute("UPDATE allocations SET active_at = COALESCE(active_at, since), seen_at = ?", (looked,))
        for file in (self.home / "home" / "sessions").glob("*/present/last"):
            then_s = file.stat().st_mtime - seconds
            os.utime(file, (then_s, then_s))


@pytest.fixture
def host(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("LABCTL_NVML_LIBRARY", str(library.compile_fake(home)))
    monkeypatch.setenv("FAKE_NVML", str(home / "scenario.json"))
    (home / "labs" / "life" / "workspace").mkdir(parents=True)
    (home / "labs" / "life" / "lab.yaml").write_text(LAB)
    (home / "labs" / "life" / "workspace" / "readme.txt").write_text("here\n")
    made = Host(home)
    yield made
    made.labctl("down", "--all", "--yes", "--quiet")
    assert made.held() == []


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "labctl", *words]


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.05)


def test_an_idle_gpu_is_announced_goes_back_and_comes_again(host: Host) -> None:
    up = host.json("up", "life", "--idle-timeout", "10m", "--profile", "gpu")
    assert [gpu["uuid"] for gpu in up["gpus"]] == ["GPU-1"]
    background = "CUDA_VISIBLE_DEVICES= sleep 600 >/dev/null 2>&1 & echo $!"  # what may use a GPU ends with it
    worker = psutil.Process(int(host.labctl("exec", "life", "--", "sh", "-c", background)))
    assert host.collected() == []
    assert host.session()["note"] == ""

    host.wait(540)
    assert host.collected() == []
    assert host.session()["note"].startswith("idle for 9m")
    assert "its GPU goes back at" in host.labctl("status", "life")
    host.wait(120)
    assert [id for id, _ in host.collected("--dry-run")] == [ID]
    ((id, why),) = host.collected()
    assert (id, why.startswith("idle for 11m")) == (ID, True)

    after = host.session()
    assert (after["state"], after["gpus"], list(after["services"])) == ("RUNNING", [], ["board"])
    assert after["services"]["board"]["state"] == "running"
    assert "its GPU went back at" in after["note"]
    assert worker.status() != psutil.STATUS_ZOMBIE
    assert host.held() == []
    assert host.collected() == []

    again = host.json("up", "life")
    assert ([gpu["uuid"] for gpu in again["gpus"]], again["note"]) == (["GPU-1"], "")
    assert again["services"]["trainer"]["state"] == "running"


@pytest.mark.parametrize("sign", ["command", "load", "request", "logs"])
def test_whatever_is_done_keeps_the_gpu(host: Host, sign: str) -> None:
    up = host.json("up", "life", "--idle-timeout", "10m", "--profile", "gpu")
    host.wait(700)
    assert host.collected() == []
    assert host.session()["note"].startswith("idle for 11m")
    host.wait(130)
    if sign == "load":
        host.load(37)
    elif sign == "request":
        ask(up["services"]["board"]["url"])
    else:
        host.labctl(*(["exec", "life", "--", "true"] if sign == "command" else ["logs", "life"]))
    assert host.collected() == []
    assert (host.session()["note"], len(host.held())) == ("", 1)


def ask(url: str) -> None:
    from urllib.request import urlopen

    with urlopen(url, timeout=10) as answer:
        assert answer.read()


def test_a_command_that_runs_keeps_the_gpu_and_a_killed_one_does_not(host: Host) -> None:
    host.json("up", "life", "--idle-timeout", "10m", "--profile", "gpu")
    process = subprocess.Popen(command("exec", "life", "--", "sleep", "600"))
    present = host.home / "home" / "sessions" / ID / "present"
    wait_until(lambda: bool(list(present.glob("*.json"))))
    host.wait(5000)
    assert host.collected() == []
    host.wait(500)
    assert host.collected() == []
    assert host.session()["note"] == ""
    process.kill()
    process.wait()
    host.wait(5000)
    host.collected()
    assert "its GPU goes back" in host.session()["note"]


def test_a_gc_that_is_killed_at_any_moment_is_finished_by_the_next(host: Host) -> None:
    dice = random.Random(4)
    for _ in range(4):
        host.json("up", "life", "--idle-timeout", "10m", "--profile", "gpu")
        host.wait(700)
        assert host.collected() == []
        host.wait(130)
        process = subprocess.Popen(command("gc"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.3, 2.0))
        process.kill()
        process.wait()
        host.collected()
        after = host.session()
        assert (host.held(), after["gpus"], list(after["services"])) == ([], [], ["board"])
        assert after["note"].startswith("its GPU went back at")


def test_the_gpu_of_a_session_whose_processes_were_killed_goes_back(host: Host) -> None:
    host.json("up", "life", "--profile", "gpu")
    for process in of_session():
        process.kill()
    host.wait(400)
    assert host.collected() == [(ID, "its services had ended")]
    assert host.held() == []
    assert "`labctl up life` takes one again" in host.session()["note"]
    assert host.json("up", "life")["gpus"]


def of_session() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            values = process.environ()
            if values.get("LABCTL_SESSION") == ID and values.get("LABCTL_HOME") == os.environ["LABCTL_HOME"]:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_run_borrows_a_gpu_and_gives_it_back(host: Host) -> None:
    assert host.json("up", "life", "--profile", "cpu")["gpus"] == []
    seen = host.labctl("run", "life", "--", "sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"; exit 3', code=3)
    assert seen == "GPU-1\n"
    assert host.held() == []
    host.json("up", "life", "--learner", "bob", "--profile", "gpu")
    host.labctl("run", "--no-wait", "life", "--", "true", code=4)
    host.labctl("down", "life--bob", "--yes")
    assert host.labctl("run", "life", "--", "echo", "--wait") == "--wait\n"
    usage = {row["learner"]: row for row in host.json("gpu", "usage")["rows"]}
    assert (usage["ada"]["allocations"], usage["bob"]["allocations"]) == (2, 1)


def test_run_waits_for_a_gpu_that_somebody_has(host: Host) -> None:
    host.json("up", "life", "--profile", "cpu")
    host.json("up", "life", "--learner", "bob", "--profile", "gpu")
    process = subprocess.Popen(
        command("run", "life", "--", "echo", "done"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "place 1 of 1" in process.stderr.readline()
    host.labctl("down", "life--bob", "--yes")
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "done\n")


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill-9", "term", "ctrl-c"])
def test_a_run_that_is_stopped_keeps_nothing(host: Host, kind: signal.Signals) -> None:
    host.json("up", "life", "--profile", "cpu")
    process = subprocess.Popen(command("run", "life", "--", "sleep", "600"))
    wait_until(lambda: bool(host.held()) and bool(sleepers()))
    assert [(row["session"], row["purpose"]) for row in host.held()] == [(ID, "job")]
    process.send_signal(kind)
    if kind is signal.SIGINT:  # a terminal sends it to the command too
        for each in sleepers():
            each.send_signal(kind)
    process.wait(30)
    wait_until(lambda: not sleepers())
    assert host.collected() == ([] if kind is signal.SIGINT else [(ID, "`labctl run` died")])
    assert host.held() == []


def sleepers() -> list[psutil.Process]:
    """What `labctl run` started."""
    return [each for each in of_session() if alive(each) and each.cmdline()[:1] == ["sleep"] and "JOB" in marks(each)]


def marks(process: psutil.Process) -> str:
    return " ".join(process.environ())


def alive(process: psutil.Process) -> bool:
    return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
