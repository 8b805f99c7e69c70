"""`labctl lab test` on the local runtime: several labs side by side, what was proved before, services that are kept, Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import labctl as src
from labctl.cli.context import context

Result = subprocess.CompletedProcess[str]

SERVE = """\
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
NOTE = """\
import json, os, pathlib, urllib.request

pids = {name: urllib.request.urlopen(os.environ[name], timeout=30).read().decode() for name in ("LABS", "OWN")}
files = sorted(name for name in os.listdir() if not name.startswith("."))
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps({**pids, "files": files}) + "\\n")
pathlib.Path("left-behind").mkdir()
pathlib.Path("left-behind", "note").write_text("here I was")
pathlib.Path("readme.txt").write_text("spoilt")
"""
LAB = """\
title: Services that stay
stage: 0
minutes: 1
profiles:
  cpu: {memory: 16MiB, disk: 1MiB}
workspace:
  environment: {NOTES: NOTES_FILE, LABS: "{{ url('labs') }}", OWN: "{{ url('own') }}"}
services:
  labs:
    command: [python3, "{{ lab_path }}/serve.py", "{{ port('http') }}"]
    ports: {http: 8000}
    healthcheck: {http: /, interval: 50ms}
  own:
    owner: learner
    command: [python3, "{{ lab_path }}/serve.py", "{{ port('http') }}"]
    ports: {http: 8000}
    healthcheck: {http: /, interval: 50ms}
test: {keep_services: true}
criteria:
  - id: said
    text: answer.txt says yes
    points: 1
    hint: Say it
    checks:
      - file: {path: answer.txt, text: {contains: "yes"}}
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "labctl", *args]


def labctl(*args: str) -> Result:
    return subprocess.run(command(*args), capture_output=True, text=True, check=False, timeout=300)


def answer(result: Result, code: int = 0) -> Any:
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def labs(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of LABCTL_LABS, with one lab, and a labctl with another one built in: what ships takes minutes to prove."""
    site = home / "site" / "labctl"
    shutil.copytree(Path(src.__file__).parent, site, ignore=shutil.ignore_patterns("__pycache__", "_data"))
    monkeypatch.setenv("PYTHONPATH", str(site.parent))
    for name, folder in (("stage1-built-in", site / "_data" / "labs"), ("stage1-own", home / "labs")):
        assert labctl("lab", "new", name, "--in", str(folder)).returncode == 0
    return home / "labs"


def test_every_lab_is_proved_side_by_side_and_only_what_changed_again(labs: Path) -> None:
    every = ("lab", "test", "--all", "--profile", "cpu", "--jobs", "2")
    claims_too_much = labs / "stage1-own" / "mutants" / "constant" / "mutant.yaml"
    claims_too_much.write_text("description: claims too much\nfails: [page-served]\n")
    first = labctl(*every)
    assert first.returncode == 1
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in first.stdout.splitlines() if line}
    assert rows["stage1-built-in"].startswith("5 proved ")
    assert rows["stage1-own"].startswith("5 wrong: mutant constant ")
    assert "stage1-own mutant constant" in first.stdout
    assert "stage1-own: service page" in first.stderr
    assert "1 of 2 labs proved in" in first.stderr

    again = {each["lab"]: each for each in answer(labctl(*every, "--json"), code=1)["labs"]}
    assert (again["stage1-built-in"]["ok"], again["stage1-built-in"]["rounds"]) == (True, [])
    assert again["stage1-built-in"]["proved_before"]
    assert [each["name"] for each in again["stage1-own"]["rounds"] if each["problems"]] == ["mutant constant"]

    claims_too_much.write_text("description: as it was\nfails: [words-counted]\n")
    mended = answer(labctl(*every, "--json"))
    assert [each["lab"] for each in mended["labs"] if each["rounds"]] == ["stage1-own"]
    assert "proved before (cpu), " in labctl(*every).stdout
    (labs.parent / "site" / "labctl" / "another.py").touch()  # labctl itself is another one now
    assert [len(each["rounds"]) for each in answer(labctl(*every, "--json"))["labs"]] == [5, 5]


def test_a_named_lab_is_proved_whatever_was_proved_before_and_force_forgets_it(labs: Path) -> None:
    for more in (["stage1-own", "./site/labctl/_data/labs/stage1-built-in"], ["--all", "--force"]):
        proved = answer(labctl("lab", "test", *more, "--jobs", "2", "--json"))["labs"]
        assert [len(each["rounds"]) for each in proved] == [5, 5]
    assert len(answer(labctl("lab", "test", "stage1-own", "--json"))["rounds"]) == 5


def test_a_lab_that_cannot_be_proved_costs_the_others_nothing(labs: Path) -> None:
    (labs / "stage1-own" / "lab.yaml").write_text("title: [")
    proved = {each["lab"]: each for each in answer(labctl("lab", "test", "--all", "--json"), code=1)["labs"]}
    assert proved["stage1-built-in"]["ok"]
    assert "not YAML" in proved["stage1-own"]["error"]


def test_kept_services_run_on_while_the_workspace_starts_over(home: Path, write_lab: Callable[..., Path]) -> None:
    notes = home / "notes"
    write_lab(
        "stage0-kept",
        text=LAB.replace("NOTES_FILE", str(notes)),
        **{
            "serve.py": SERVE,
            "workspace/note.py": NOTE,
            "solution/answer.txt": "yes\n",
            "solution/steps.yaml": "steps: [[python3, note.py]]\n",
            "mutants/empty/mutant.yaml": "description: says nothing\nfails: [said]\nbase: starter\n",
            "mutants/empty/steps.yaml": "steps: [[python3, note.py]]\n",
            "mutants/no/mutant.yaml": "description: says no\nfails: [said]\n",
            "mutants/no/answer.txt": "no\n",
        },
    )
    proof = answer(labctl("lab", "test", "stage0-kept", "--json"))
    assert proof["ok"], proof
    solution, empty, no, again = [json.loads(line) for line in notes.read_text().splitlines()]
    assert solution["LABS"] == empty["LABS"] == no["LABS"] != again["LABS"]
    assert len({each["OWN"] for each in (solution, empty, no, again)}) == 4
    assert solution["files"] == no["files"] == again["files"] == ["answer.txt", "note.py", "readme.txt"]
    assert empty["files"] == ["note.py", "readme.txt"]
    assert answer(labctl("status", "--json"))["sessions"] == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_no_session(labs: Path, jobs: str) -> None:
    arguments = command("lab", "test", "stage1-own", "stage1-built-in", "--jobs", jobs)
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: len(context().store.sessions(live=True)) == int(jobs))
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert answer(labctl("status", "--json"))["sessions"] == []


def test_labs_whose_parent_was_killed_end_their_sessions(labs: Path) -> None:
    arguments = command("lab", "test", "stage1-own", "stage1-built-in", "--jobs", "2")
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(context().store.sessions(live=True)) == 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: context().store.sessions(live=True) == [])


def until(holds: Callable[[], bool], *, within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
