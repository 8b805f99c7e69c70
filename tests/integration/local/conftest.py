from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl import settings as settings_of
from labctl.runtimes.local.runtime import LocalRuntime

from .sessions import LocalLab


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def runtime(home: Path) -> LocalRuntime:
    return LocalRuntime(settings_of.load({"LABCTL_HOME": str(home), "USER": "ada"}))


@pytest.fixture
def lab_of(tmp_path: Path, runtime: LocalRuntime) -> Iterator[Callable[..., LocalLab]]:
    """Makes a lab from the services part of a lab file; whatever it started is ended after the test."""
    made: list[LocalLab] = []

    def make(services: str = "", **settings: str) -> LocalLab:
        made.append(LocalLab(tmp_path, runtime, services, **settings))
        return made[-1]

    yield make
    for lab in made:
        lab.down()
