"""The command line over real processes: what a learner types, and what happens when things die in between."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

Labctl = Callable[..., subprocess.CompletedProcess[str]]
LAB = """\
title: Two services
stage: 1
minutes: 5
profiles:
  cpu: {memory: 16MiB, disk: 1MiB}
services:
  base:
    command: [python3, -m, http.server, "{{ port('http') }}", --bind, 127.0.0.1]
    ports: {http: 8000}
    healthcheck: {http: /}
  page:
    owner: learner
    command: [python3, -m, http.server, "{{ port('http') }}", --bind, 127.0.0.1]
    ports: {http: 8000}
    healthcheck: {http: /}
    depends_on: {base: {condition: service_healthy}}
criteria:
  - id: written
    text: The page says hello
    points: 6
    hint: Write index.html
    checks:
      - http: {service: page, path: /index.html, text: {contains: hello}, timeout: 5s}
  - id: base-answers
    text: The lab's own service answers
    points: 4
    hint: It should
    checks:
      - http: {service: base, path: /, timeout: 5s}
"""
ID = "two-services--ada"


@pytest.fixture
def labctl(home: Path) -> Iterator[Labctl]:
    (home / "labs" / "two-services").mkdir(parents=True)
    (home / "labs" / "two-services" / "lab.yaml").write_text(LAB)

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*args), capture_output=True, text=True, check=False, timeout=120)

    yield run
    run("down", "--all", "--quiet")
    assert of_session() == []


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "labctl", *args]


def answer(result: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


def of_session() -> list[psutil.Process]:
    """Every process of this test's session that lives."""
    found = []
    for process in psutil.process_iter():
        try:
            values = process.environ()
            is_ours = values.get("LABCTL_SESSION") == ID and values.get("LABCTL_HOME") == os.environ["LABCTL_HOME"]
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):  # it ended while it was looked at
            continue
    return found


def supervisors() -> list[psutil.Process]:
    return [process for process in of_session() if "supervisor.supervisord" in " ".join(process.cmdline())]


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.05)


def test_a_learners_day(labctl: Labctl, home: Path) -> None:
    up = answer(labctl("up", "two-services", "--json"))
    assert (up["session"], up["state"], up["profile"], up["runtime"]) == (ID, "RUNNING", "cpu", "local")
    assert up["changed"] == ["workspace", "base", "page"]
    assert {name: each["state"] for name, each in up["services"].items()} == {"base": "running", "page": "running"}
    again = answer(labctl("up", "two-services", "--json"))
    assert again == {**up, "changed": []}
    assert answer(labctl("status", "--json")) == {"sessions": [again], "waiting": []}

    report = answer(labctl("verify", "two-services", "--json"), code=1)
    assert (report["outcome"], report["score"], report["max_score"], report["trust"]) == ("fail", 4, 10, "self")
    page = labctl("exec", "two-services", "--", "sh", "-c", "echo hello > index.html; exit 7")
    assert page.returncode == 7
    assert (Path(up["workspace"]) / "index.html").read_text() == "hello\n"
    report = answer(labctl("verify", "--json"))
    assert report["score"] == 10
    assert labctl("verify", "--quiet").stdout == "pass 10/10\n"
    rows = {row["id"]: row["progress"] for row in answer(labctl("list", "--json"))["labs"]}
    assert rows["two-services"] == {"score": 10, "max_score": 10, "passed": True}

    assert "GET /index.html" in labctl("logs", "two-services", "page").stdout
    assert labctl("logs", "two-services", "nothing").returncode == 5
    assert labctl("open", "two-services", "page", "--print").stdout.strip() == up["services"]["page"]["url"]
    assert "lives until" in labctl("extend", "two-services", "2h").stdout
    assert labctl("reset", "two-services").returncode == 2
    copy = Path(labctl("reset", "two-services", "--yes").stdout.strip())
    assert (copy / "index.html").read_text() == "hello\n"
    assert not (Path(up["workspace"]) / "index.html").exists()

    assert labctl("down", "two-services").stdout == f"{ID} has ended\n"
    assert of_session() == []
    assert labctl("down", "two-services").returncode == 5
    assert Path(up["workspace"]).is_dir()


def test_a_criterion_that_cannot_be_looked_at_is_exit_3(labctl: Labctl) -> None:
    up = answer(labctl("up", "two-services", "--json"))
    (Path(up["workspace"]) / "index.html").write_text("hello")
    for process in supervisors():
        process.kill()
    for process in of_session():
        process.kill()
    states = answer(labctl("status", "--json"))["sessions"][0]["services"]
    assert {each["state"] for each in states.values()} <= {"stopped", "failed"}
    report = answer(labctl("verify", "--criterion", "base-answers", "--json"), code=3)
    assert [each["outcome"] for each in report["criteria"]] == ["error"]
    assert answer(labctl("up", "two-services", "--json"))["state"] == "RUNNING"
    assert answer(labctl("verify", "--json"))["outcome"] == "pass"


def test_two_ups_at_once_start_one_session(labctl: Labctl) -> None:
    both = [subprocess.Popen(command("up", "two-services", "--quiet"), stdout=subprocess.PIPE, text=True) for _ in "ab"]
    assert [process.communicate(timeout=60)[0] for process in both] == [f"{ID}\n"] * 2
    assert [process.returncode for process in both] == [0, 0]
    assert len(supervisors()) == 1


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=["ctrl-c", "kill-9", "term"])
def test_up_that_is_stopped_at_any_moment_is_finished_by_the_next(labctl: Labctl, kind: signal.Signals) -> None:
    dice = random.Random(kind)
    for _ in range(4):
        process = subprocess.Popen(command("up", "two-services"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(dice.uniform(0.2, 2.0))
        except subprocess.TimeoutExpired:
            process.send_signal(kind)
        code = process.wait(30)
        assert code in (0, -kind, 130 if kind is signal.SIGINT else 0), (
            code
        )  # -SIGINT: Python itself was still starting
        shown = labctl("status")
        assert shown.returncode == 0, shown.stderr
    assert answer(labctl("up", "two-services", "--json"))["state"] == "RUNNING"
    assert len(supervisors()) == 1


def test_down_that_is_killed_is_finished_by_down_or_gc(labctl: Labctl) -> None:
    answer(labctl("up", "two-services", "--json"))
    process = subprocess.Popen(command("down", "two-services"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(of_session()) < 3 or process.poll() is not None)
    process.kill()
    process.wait()
    assert labctl("gc").returncode == 0
    if answer(labctl("status", "--json"))["sessions"]:
        assert labctl("down", "two-services").returncode == 0
    assert of_session() == []


def test_gc_finds_the_session_of_a_lost_database(labctl: Labctl, home: Path) -> None:
    answer(labctl("up", "two-services", "--json"))
    for file in (home / "home").glob("labctl.db*"):
        file.unlink()
    would = answer(labctl("gc", "--dry-run", "--json"))
    assert [each["session"] for each in would["collected"]] == [ID]
    assert of_session()
    assert labctl("gc").returncode == 0
    assert of_session() == []


def test_a_learners_broken_service_is_exit_8_and_can_be_verified(labctl: Labctl, home: Path) -> None:
    file = home / "labs" / "two-services" / "lab.yaml"
    broken = LAB.replace(
        "    owner: learner\n    command: [python3, -m, http.server",
        "    owner: learner\n    command: [python3, -m, nothing",
    )
    assert broken != LAB
    file.write_text(broken)
    result = labctl("up", "two-services", "--json")
    assert answer(result, code=8)["error"]["code"] == 8
    report = answer(labctl("verify", "--json"), code=1)
    assert {each["id"]: each["outcome"] for each in report["criteria"]} == {"written": "fail", "base-answers": "pass"}
    file.write_text(LAB)
    assert answer(labctl("up", "two-services", "--json"))["state"] == "RUNNING"


def test_watch_ends_when_everything_passes(labctl: Labctl) -> None:
    up = answer(labctl("up", "two-services", "--json"))
    watcher = subprocess.Popen(command("verify", "--watch", "--quiet"), stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "fail 4/10\n"
    (Path(up["workspace"]) / "index.html").write_text("hello")
    assert watcher.communicate(timeout=30)[0] == "pass 10/10\n"
    assert watcher.returncode == 0


def test_a_new_lab_proves_itself_and_a_mutant_that_passes_is_reported(labctl: Labctl, home: Path) -> None:
    made = Path(labctl("lab", "new", "stage1-mine").stdout.strip())
    proof = answer(labctl("lab", "test", "stage1-mine", "--json"))
    names = ["starter", "solution", "mutant constant", "mutant wrong-name", "solution again"]
    assert [each["name"] for each in proof["rounds"]] == names
    assert proof["ok"]
    (made / "mutants" / "constant" / "mutant.yaml").write_text("description: claims too much\nfails: [page-served]\n")
    shutil.rmtree(made / "mutants" / "wrong-name")
    proof = answer(labctl("lab", "test", "stage1-mine", "--json"), code=1)
    problems = {each["name"]: each["problems"] for each in proof["rounds"] if each["problems"]}
    assert list(problems) == ["mutant constant"]
    assert problems["mutant constant"][0] == "page-served passed"
    assert problems["mutant constant"][1].startswith("words-counted did not pass: ")
    assert answer(labctl("status", "--json")) == {"sessions": [], "waiting": []}
