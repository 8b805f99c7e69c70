"""`labctl cohort`: a class planned by its file and its list of people, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Result = subprocess.CompletedProcess[str]
HUGE = "title: Huge\nstage: 1\nminutes: 25\nprofiles: {cpu: {memory: 900TiB, disk: 1MiB}}\ncriteria: [{id: a, text: a, points: 1, hint: a, checks: [{file: {path: a}}]}]\n"


def labctl(*args: str) -> Result:
    command = [sys.executable, "-m", "labctl", "cohort", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def cohort(home: Path, write_lab: Callable[..., Path]) -> Callable[..., Path]:
    """Write a cohort of `small-lab`; the folder."""
    write_lab()
    write_lab("huge-lab", text=HUGE)

    def write(text: str = "labs: [small-lab]\n", roster: bytes = b"Name,ID\nAda,1\nBob,2\n") -> Path:
        (home / "class").mkdir(exist_ok=True)
        (home / "class" / "roster.csv").write_bytes(roster)
        (home / "class" / "cohort.yaml").write_text(f"roster: roster.csv\n{text}")
        return home / "class"

    return write


def answer(result: Result) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_a_plan_is_shown_and_problems_of_the_list_are_told_by_line(cohort: Callable[..., Path]) -> None:
    rows = 'Name;Email\nJörg;j@x.de\n=1+cmd;e@x.de\n"open;x\nAgain;J@x.de\n'.encode("cp1252")
    result = labctl("plan", str(cohort(roster=rows)))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:2] == ["class · 2 learners · local", "both fit at once"]
    told = [line.partition("roster.csv:")[2] for line in result.stderr.splitlines() if "roster.csv:" in line]
    assert told == [
        " not UTF-8; read as Windows-1252 (Western). If names look wrong, save it as UTF-8",
        "3: Name holds a formula, '=1+cmd'; it is kept as text",
        "4: a quote is not closed, or not doubled within quotes: '\"open;x' (left out)",
        "5: the same email address as line 2 (J@x.de) (left out)",
    ]
    assert "2 lines are left out, and 2 people stay" in result.stderr


def test_a_plan_in_which_not_all_fit_says_so_and_exits_0(cohort: Callable[..., Path]) -> None:
    folder = cohort("labs: [small-lab]\nsessions: {maximum: 1}\n")
    result = labctl("plan", str(folder / "cohort.yaml"))
    assert result.returncode == 0, result.stderr
    assert "1 of 2 fits; one waits about 5 min" in result.stdout
    assert "sessions.maximum is 1" in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if "Bob" in line] == [["2", "5m", "Bob"]]
    assert "everybody fits with `sessions: {maximum: 2}`" in result.stderr
    huge = labctl("plan", str(cohort("labs: [huge-lab]\n")))
    assert huge.returncode == 0
    assert "none of 2 fits" in huge.stdout
    assert "more memory" in huge.stderr


def test_json_says_the_same(cohort: Callable[..., Path]) -> None:
    found = answer(labctl("plan", str(cohort("labs: [small-lab]\nsessions: {maximum: 1}\nname: autumn\n")), "--json"))
    assert (found["cohort"], found["runtime"], found["learners"], found["all_at_once"]) == ("autumn", "local", 2, False)
    assert found["summary"] == "1 of 2 fits; one waits about 5 min"
    assert [person["id"] for person in found["roster"]["people"]] == ["1", "2"]
    only = found["labs"][0]
    assert (only["lab"], only["profile"], only["seats"], only["bottleneck"]) == (
        "small-lab",
        "cpu",
        1,
        "sessions.maximum is 1",
    )
    assert [wave["learners"] for wave in only["waves"]] == [["1"], ["2"]]
    assert found["changes"] == [{"what": "`sessions: {maximum: 2}`", "edit": "sessions: {maximum: 2}"}]
    assert set(only["bounds"]) == {"memory", "cpus", "maximum", "disk"}


def test_a_name_from_the_list_is_shown_and_not_obeyed(cohort: Callable[..., Path]) -> None:
    rows = "Name,ID\nAda,1\n\x1b[31mEve\u202e\x07,2\n".encode()
    result = labctl("plan", str(cohort("labs: [small-lab]\nsessions: {maximum: 1}\n", roster=rows)))
    assert not set("\x1b\x07\u202e") & set(result.stdout + result.stderr)


@pytest.mark.parametrize(
    ("text", "roster", "what"),
    [
        (
            "labs: [small-lb]\n",
            b"Name\nAda\n",
            "cohort.yaml:2:8: labs.0: no lab named 'small-lb'; did you mean 'small-lab'?",
        ),
        ("labs: [small-lab]\nttl: soon\n", b"Name\nAda\n", "cohort.yaml:3:1: ttl:"),
        ("labs: [small-lab]\n", b"Name\n", "roster.csv: nobody is in it"),
        ("labs: [small-lab]\n", b"PK\x03\x04", "is a workbook"),
    ],
)
def test_a_wrong_file_exits_7(cohort: Callable[..., Path], text: str, roster: bytes, what: str) -> None:
    folder = cohort(text, roster=roster)
    result = labctl("plan", str(folder))
    assert (result.returncode, result.stdout) == (7, "")
    assert what in result.stderr
    assert answer(labctl("plan", str(folder), "--json"))["error"]["code"] == 7


def test_a_missing_file_exits_7_and_says_how_to_make_one(home: Path) -> None:
    result = labctl("plan", "nothing.yaml")
    assert result.returncode == 7
    assert "nothing.yaml: cannot be read" in result.stderr
    assert "`labctl cohort new NAME`" in result.stderr


def test_new_writes_what_plan_accepts_and_never_writes_over_it(home: Path) -> None:
    made = labctl("new", "autumn")
    assert (made.returncode, made.stdout) == (0, f"{home / 'autumn'}\n")
    assert labctl("plan", "autumn").returncode == 0
    again = labctl("new", "autumn")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    (home / "deep").mkdir()
    assert answer(labctl("new", "b", "--in", "deep", "--json")) == {"cohort": "b", "path": str(home / "deep" / "b")}
    assert labctl("new", "Not A Name").returncode == 2


def test_schema_is_json_schema(home: Path) -> None:
    schema = answer(labctl("schema"))
    assert schema["title"] == "cohort.yaml of labctl"
    assert "roster" in schema["required"]
