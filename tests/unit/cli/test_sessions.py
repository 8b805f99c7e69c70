"""Verbs on sessions that the store knows; nothing runs behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labctl.settings import Settings
from labctl.store.records import Session, SessionState
from labctl.store.store import Store
from tests.conftest import LAB

WriteLab = Callable[..., Path]


def labctl(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    values = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=values, timeout=60)


@pytest.fixture
def known(chosen: Settings, write_lab: WriteLab, home: Path) -> Callable[..., Session]:
    """Keeps a live session of small-lab in the store, with a workspace."""
    folder = write_lab()

    def make(learner: str = "ada", **values: Any) -> Session:
        id = f"small-lab--{learner}"
        workspace = home / "work" / learner
        workspace.mkdir(parents=True, exist_ok=True)
        (workspace / ".labctl").write_text(id)
        service: dict[str, Any] = {
            "ports": {},
            "healthcheck": None,
            "owner": "lab",
            "is_job": False,
            "grace_s": 1.0,
            "environment": {},
        }
        handle = {
            "session": id,
            "lab": "small-lab",
            "home": str(chosen.home),
            "workspace": str(workspace),
            "lab_path": str(folder),
            "models": "/models",
            "model_paths": [],
            "environment": {"PATH": os.environ["PATH"], "LABCTL_LAB": "small-lab"},
            "services": {"page": service},
        }
        now = datetime.now(UTC)
        session = Session(
            id=id,
            lab="small-lab",
            lab_path=str(folder),
            learner=learner,
            runtime="local",
            profile="cpu",
            state=SessionState.RUNNING,
            workspace=str(workspace),
            created_at=now,
            expires_at=now + timedelta(hours=8),
            handle=handle,
        )
        return Store(chosen).put(session)

    return make


def test_status_quiet_without_sessions_is_silent(home: Path) -> None:
    assert labctl("status", "--quiet").stdout == ""


def test_json_wins_over_quiet(known: Callable[..., Session]) -> None:
    known()
    assert json.loads(labctl("status", "--quiet", "--json").stdout)["sessions"][0]["session"] == "small-lab--ada"
    assert json.loads(labctl("verify", "--quiet", "--json").stdout)["session"] == "small-lab--ada"
    assert labctl("verify", "--quiet").stdout == "fail 0/10\n"


def test_a_name_that_is_no_text_is_a_usage_error(known: Callable[..., Session]) -> None:
    known()
    result = labctl("up", "\udcff", "--json")
    assert result.returncode == 2
    assert json.loads(result.stdout)["error"]["message"] == r"'\udcff' is not UTF-8"


def test_extend_has_the_bounds_of_ttl(known: Callable[..., Session]) -> None:
    known()
    for more in ("99999999d", "31d", "1s"):
        result = labctl("extend", "small-lab", more)
        assert (result.returncode, "30d" in result.stderr) == (2, True)
    assert labctl("extend", "small-lab", "2h").returncode == 0


def test_a_script_without_a_first_line_is_126_as_in_a_shell(known: Callable[..., Session]) -> None:
    script = Path(known().workspace) / "script"
    script.write_bytes(b"\x00\x01 not a program")
    script.chmod(0o755)
    result = labctl("exec", "small-lab", "--", "./script")
    assert result.returncode == 126
    assert result.stderr.startswith("error: './script' cannot be run: Exec format error\n hint: ")


def test_open_of_a_service_without_ports_is_not_found(known: Callable[..., Session]) -> None:
    known()
    result = labctl("open", "small-lab", "--print")
    assert (result.returncode, "service 'page' has no port" in result.stderr) == (5, True)


def test_open_answers_in_json(known: Callable[..., Session], chosen: Settings) -> None:
    session = known()
    handle: Any = session.handle
    handle["services"]["page"]["ports"] = {"http": 4711}
    Store(chosen).put(session)
    result = labctl("open", "small-lab", "--json", LABCTL_OPEN_PRINT="1")
    answer = {"session": session.id, "service": "page", "url": "http://127.0.0.1:4711"}
    assert json.loads(result.stdout) == answer


def test_verify_refuses_a_folder_as_output_before_it_looks(known: Callable[..., Session], home: Path) -> None:
    known()
    result = labctl("verify", "small-lab", "-o", str(home))
    assert (result.returncode, "is a folder" in result.stderr) == (2, True)


def test_up_of_another_learners_session_by_two_names_is_refused(known: Callable[..., Session]) -> None:
    known()
    result = labctl("up", "small-lab--ada", "--learner", "bob", "--dry-run")
    assert (result.returncode, "is ada's, not bob's" in result.stderr) == (2, True)
    assert labctl("up", "small-lab--ada", "--learner", "Ada", "--dry-run").returncode == 0


def test_a_dry_run_of_what_would_be_refused_says_so_and_ends_as_up_does(home: Path, write_lab: WriteLab) -> None:
    write_lab(text=LAB.replace("memory: 64MiB", "memory: 900TiB"))
    result = labctl("up", "small-lab", "--dry-run")
    assert result.returncode == labctl("up", "small-lab").returncode == 4
    assert "small-lab needs 921600 GiB of memory" in result.stdout
    assert "once that is mended" in result.stderr
    told = labctl("up", "small-lab", "--dry-run", "--json")
    assert told.returncode == 4
    assert "921600 GiB" in json.loads(told.stdout)["problems"][0]


def test_reset_answers_in_json(known: Callable[..., Session]) -> None:
    session = known()
    answer = json.loads(labctl("reset", "small-lab", "--yes", "--json").stdout)
    assert (answer["session"], answer["restored"]) == (session.id, ["readme.txt"])
    assert Path(answer["copy"]).is_dir()


def test_down_answers_in_json(known: Callable[..., Session]) -> None:
    session = known()
    answer = json.loads(labctl("down", "small-lab", "--json").stdout)
    row = {"session": session.id, "workspace": session.workspace, "purged": False, "problem": None}
    assert answer == {"sessions": [row]}


def test_one_session_that_cannot_be_ended_does_not_keep_the_others(
    known: Callable[..., Session], chosen: Settings
) -> None:
    for learner in ("ada", "bob", "eve"):
        known(learner)
    (chosen.home / "locks" / "small-lab--bob.lock").mkdir(parents=True)
    answer = labctl("down", "--all", "--json")
    problems = {row["session"]: row["problem"] for row in json.loads(answer.stdout)["sessions"]}
    assert answer.returncode == 6
    assert [id for id, problem in problems.items() if problem is None] == ["small-lab--ada", "small-lab--eve"]
    assert [session.id for session in Store(chosen).sessions(live=True)] == ["small-lab--bob"]
