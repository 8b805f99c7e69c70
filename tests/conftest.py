"""Fixtures that every test may use: a home of its own, and a small lab."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labctl import settings
from labctl.sessions.context import Context
from labctl.settings import Settings
from labctl.store.store import Store
from labctl.testing.runtime import FakeRuntime
from tests import postgresql
from tests.containers import base_image, docker_engine

__all__ = ["base_image", "docker_engine"]


def pytest_configure() -> None:
    """The background job of a shell ignores SIGINT, and so would every process that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI, on whatever busy machine, a test that fails is run once more. At home each failure counts."""
    for item in items if os.environ.get("CI") else []:
        item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nothing is run once more in silence: why it failed at first is told, and is a bug to be mended."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first: {report.nodeid}", yellow=True)
        terminalreporter.line(report.longreprtext)


LAB = """\
title: A small lab
stage: 1
minutes: 5
profiles:
  cpu: {memory: 64MiB, disk: 16MiB}
services:
  page:
    command: [python3, -m, http.server, "{{ port('http') }}"]
    ports: {http: 8000}
    owner: learner
criteria:
  - id: written
    text: answer.txt says yes
    points: 3
    hint: write it
    checks:
      - file: {path: answer.txt, text: {contains: "yes"}}
  - id: served
    needs: [written]
    text: the page answers
    points: 7
    hint: serve it
    checks:
      - http: {service: page, path: /}
"""


class Clock:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **delta: float) -> None:
        self.time += timedelta(**delta)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LABCTL_HOME, workspaces and labs folder of its own; nothing of the user's is seen."""
    for name in [name for name in os.environ if name.startswith("LABCTL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LABCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABCTL_WORKSPACES", str(tmp_path / "work"))
    monkeypatch.setenv("LABCTL_LABS", str(tmp_path / "labs"))
    monkeypatch.setenv("LABCTL_LEARNER", "ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_lab(tmp_path: Path) -> Callable[..., Path]:
    """Write a lab below `tmp_path/labs`: its lab.yaml and other files by relative name. Its folder."""

    def write(name: str = "small-lab", text: str = LAB, **files: str) -> Path:
        folder = tmp_path / "labs" / name
        for relative, content in {"lab.yaml": text, "workspace/readme.txt": "start here\n", **files}.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            (folder / relative).write_text(content, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def chosen(home: Path) -> Settings:
    return settings.load()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server, for the whole run."""
    with postgresql.server() as url:
        yield url


@pytest.fixture
def postgresql_database(postgresql_server: str) -> str:
    """The URL of an empty database on it."""
    return postgresql.empty_database(postgresql_server)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def ctx(chosen: Settings, clock: Clock, engine: FakeRuntime) -> Context:
    """A context over a fake engine and a clock that stands still."""
    return Context(settings=chosen, store=Store(chosen), runtime=lambda _name: engine, now=clock)
