"""The store: several processes at once, older and newer databases, and damage."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl.errors import EngineError
from labctl.outcomes import CriterionResult, Outcome, Report
from labctl.settings import Settings
from labctl.store.lock import is_locked, session_lock
from labctl.store.records import Session, SessionState
from labctl.store.store import Store


def session(id: str = "lab--ada", **changes: object) -> Session:
    made = Session(
        id=id,
        lab="lab",
        lab_path="/labs/lab",
        learner="ada",
        runtime="local",
        profile="cpu",
        state=SessionState.RUNNING,
        workspace="/work",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def report(score: int, lab: str = "lab") -> Report:
    outcome = Outcome.PASS if score == 10 else Outcome.FAIL
    criterion = CriterionResult(id="a", source="", text="t", points=10, earned=score, outcome=outcome, hint="h")
    return Report(
        lab=lab,
        session=f"{lab}--ada",
        learner="ada",
        runtime="local",
        profile="cpu",
        trust="self",
        started_at="2026-01-02T03:04:05Z",
        duration_s=0.1,
        criteria=(criterion,),
    )


def test_nothing_is_written_by_reading(on_file: Settings) -> None:
    store = Store(on_file)
    assert store.sessions() == []
    assert store.session("none") is None
    assert store.progress("ada") == {}
    assert not on_file.home.exists()


def test_a_session_comes_back_as_it_was_put(chosen: Settings) -> None:
    whole = session(
        expires_at=datetime(2026, 1, 3, tzinfo=UTC),
        handle={"session": "lab--ada", "services": {"a": {"http": 8000}}},
        idle_timeout_s=60.0,
        detail="ünï",
    )
    Store(chosen).put(whole)
    assert Store(chosen).session("lab--ada") == whole


def test_live_leaves_out_what_has_stopped(chosen: Settings) -> None:
    store = Store(chosen)
    store.put(session("a"))
    store.put(session("b", state=SessionState.STOPPED))
    assert [each.id for each in store.sessions(live=True)] == ["a"]
    assert [each.id for each in store.sessions()] == ["a", "b"]


def test_progress_is_the_best_of_all_attempts(chosen: Settings) -> None:
    store = Store(chosen)
    for attempt in (report(0), report(10), report(4), report(4, lab="other")):
        store.add_report(attempt)
    progress = store.progress("ada")
    assert (progress["lab"].score, progress["lab"].passed) == (10, True)
    assert (progress["other"].score, progress["other"].passed) == (4, False)
    assert [each["score"] for each in store.reports("lab--ada")] == [4, 10, 0]


def test_many_processes_write_at_once_and_nothing_is_lost(chosen: Settings, home: Path) -> None:
    program = (
        "import sys; from labctl import settings; from labctl.store.store import Store;"
        "from tests.unit.store.test_store import session;"
        "store = Store(settings.load());"
        "[store.put(session(f'p{sys.argv[1]}-{n}')) for n in range(10)]; store.put(session('shared'))"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(number)], env=environment, cwd=home) for number in range(6)
    ]
    assert [process.wait(timeout=60) for process in started] == [0] * 6
    assert len(Store(chosen).sessions()) == 61


def test_a_newer_database_is_refused_and_left_alone(on_file: Settings) -> None:
    Store(on_file).put(session())
    with closing(sqlite3.connect(on_file.home / "labctl.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(EngineError, match="schema version 99; this labctl knows 4"):
        Store(on_file).put(session("another"))
    with pytest.raises(EngineError, match="schema version 99"):
        Store(on_file).sessions()


def test_a_damaged_database_is_one_clear_error(on_file: Settings) -> None:
    on_file.home.mkdir()
    (on_file.home / "labctl.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(EngineError, match="cannot be read: file is not a database"):
        Store(on_file).sessions()
    with pytest.raises(EngineError, match="cannot be used"):
        Store(on_file).put(session())


def test_an_unknown_database_url_is_one_clear_error(chosen: Settings) -> None:
    with pytest.raises(EngineError, match="cannot be used"):
        Store(replace(chosen, database_url="nonsense://secret:word@host/db")).sessions()


def test_the_lock_of_a_session_is_freed_when_its_holder_is_killed(chosen: Settings, home: Path) -> None:
    program = (
        "import sys, pathlib; from labctl.store.lock import session_lock\n"
        "with session_lock(pathlib.Path(sys.argv[1]), 'lab--ada'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(chosen.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(chosen.home, "lab--ada")
        assert not is_locked(chosen.home, "lab--bob")
        holder.kill()
    waited: list[bool] = []
    with session_lock(chosen.home, "lab--ada", waiting=lambda: waited.append(True)):
        assert waited == []


def test_a_state_that_is_not_known_is_one_clear_error(on_file: Settings) -> None:
    Store(on_file).put(session())
    with closing(sqlite3.connect(on_file.home / "labctl.db")) as connection, connection:
        connection.execute("UPDATE sessions SET state = 'PAUSED'")
    with pytest.raises(EngineError, match="cannot read: ValueError"):
        Store(on_file).sessions()


def test_points_that_changed_do_not_hide_a_pass(chosen: Settings) -> None:
    store = Store(chosen)
    store.add_report(report(10))
    criterion = CriterionResult(id="a", source="", text="t", points=100, earned=0, outcome=Outcome.FAIL, hint="h")
    store.add_report(replace(report(0), criteria=(criterion,)))
    assert store.progress("ada")["lab"].passed


def test_a_home_that_cannot_be_written_can_be_read(on_file: Settings) -> None:
    Store(on_file).put(session())
    on_file.home.chmod(0o500)
    try:
        assert [each.id for each in Store(on_file).sessions()] == ["lab--ada"]
    finally:
        on_file.home.chmod(0o700)


def test_everybody_who_claims_at_once_gets_another_session_or_none(chosen: Settings) -> None:
    store = Store(chosen)
    for number in range(3):
        store.put(session(f"lab--autumn--spare-{number}", cohort="autumn", learner=f"spare-{number}"))
    store.put(session("lab--autumn--ada", cohort="autumn"))
    store.put(session("lab--spring--spare-9", cohort="spring", learner="spare-9"))

    def claim(name: str) -> str | None:
        got = Store(chosen).claim("autumn", "lab", "spare-", name)
        return got.id if got else None

    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(claim, "abcdef"))
    assert sorted(filter(None, got)) == [f"lab--autumn--spare-{number}" for number in range(3)]
    assert {each.claimed_by for each in store.sessions() if each.claimed_by} == {
        name for name, id in zip("abcdef", got, strict=True) if id
    }
