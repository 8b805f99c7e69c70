"""A class on the local runtime, as an instructor runs it: real processes, a kill in the middle, grades at the end."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

NAMES = ("Ada Lovelace", "李雷", "=cmd()", "Zoë")


def labctl(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def answer(*args: str, code: int = 0) -> Any:
    result = labctl(*args, "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def class_file(home: Path, write_lab: Callable[..., Path]) -> Iterator[str]:
    write_lab()
    folder = home / "autumn"
    folder.mkdir()
    (folder / "cohort.yaml").write_text("labs: [small-lab]\nroster: roster.csv\nruntime: local\novercommit: 100\n")
    rows = [f"{name},{number}" for number, name in enumerate(NAMES, start=1)]
    (folder / "roster.csv").write_text("\n".join(["Name,ID", *rows]), encoding="utf-8")
    yield str(folder)
    labctl("down", "--all")


def test_a_class_from_its_list_to_its_grades(class_file: str, home: Path) -> None:
    up = subprocess.Popen([sys.executable, "-m", "labctl", "cohort", "up", class_file], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not answer("status")["sessions"] and time.monotonic() < deadline:
        time.sleep(0.1)
    up.send_signal(signal.SIGKILL)
    up.wait()

    started = answer("cohort", "up", class_file)["sessions"]
    assert {row["learner"]: row["problem"] for row in started} == dict.fromkeys("1234")
    again = answer("cohort", "up", class_file)["sessions"]
    assert {row["words"].partition(" http")[0] for row in again} == {"runs already"}

    shown = labctl("cohort", "status", class_file)
    assert "autumn · 4 learners · 4 sessions · 0 of 4 labs passed" in shown.stdout
    workspace = Path(os.environ["LABCTL_WORKSPACES"]) / "autumn" / "2" / "small-lab"
    (workspace / "answer.txt").write_text("yes")
    verified = answer("cohort", "verify", class_file)["sessions"]
    assert {row["learner"]: row["words"] for row in verified} == {
        "1": "0 of 10 points",
        "2": "10 of 10 points",
        "3": "0 of 10 points",
        "4": "0 of 10 points",
    }
    assert len(answer("cohort", "verify", class_file)["sessions"]) == 3

    table = list(csv.reader(io.StringIO(labctl("cohort", "export", class_file).stdout)))
    assert [(row[2], row[-1]) for row in table[1:]] == [
        ("Ada Lovelace", "0"),
        ("李雷", "100"),
        ("'=cmd()", "0"),
        ("Zoë", "0"),
    ]
    labctl("cohort", "export", class_file, "--reports", str(home / "reports"))
    assert "10/10" in (home / "reports/2/small-lab/report.html").read_text().replace(" of ", "/")
    assert ElementTree.parse(home / "reports/1/small-lab/junit.xml").getroot().tag == "testsuites"

    before = {row["session"]: row["expires_at"] for row in answer("status")["sessions"]}
    answer("cohort", "extend", class_file, "2h", "Zoë")
    after = {row["session"]: row["expires_at"] for row in answer("status")["sessions"]}
    assert [id for id in after if after[id] != before[id]] == ["small-lab--autumn--4"]
    answer("cohort", "restart", class_file, "李雷")
    assert (workspace / "answer.txt").read_text() == "yes"
    assert (
        "nobody on the list is called 'Eve'"
        in answer("cohort", "extend", class_file, "1h", "Eve", code=5)["error"]["message"]
    )

    assert answer("cohort", "add", class_file, "Grace Hopper", "--id", "5")["learner"] == "5"
    started = answer("cohort", "up", class_file)["sessions"]
    assert [row["learner"] for row in started if row["words"].startswith("started")] == ["5"]
    assert [row["learner"] for row in answer("cohort", "remove", class_file, "=cmd()")["sessions"]] == ["3"]
    assert "cmd" not in (Path(class_file) / "roster.csv").read_text(encoding="utf-8")

    assert len(answer("cohort", "down", class_file)["sessions"]) == 4
    assert answer("status")["sessions"] == []
    assert (workspace / "answer.txt").read_text() == "yes"

    refused = answer("cohort", "down", class_file, "--purge", code=2)["error"]
    assert (refused["message"], workspace.is_dir()) == (
        "this must be confirmed, and there is no terminal to ask on",
        True,
    )
    purged = answer("cohort", "down", class_file, "--purge", "--yes")["sessions"]
    assert {row["learner"] for row in purged} >= {"1", "2", "4", "5"}
    assert [row["words"] for row in purged if row["learner"] == "2"] == [f"deleted {workspace}"]
    assert not workspace.exists()
    assert "Ada Lovelace" in labctl("cohort", "export", class_file).stdout
