"""Every test of the suite runs on every engine, unless it says `@on_real_engines`. `pytest -k local` chooses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import ENGINES, MARKS, Engine
from tests.conformance.homes import Home


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=MARKS.get(name, ())) for name in ENGINES],
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = ENGINES[request.param]()
    try:
        if why := made.missing():
            pytest.skip(why)
        yield made
    finally:
        made.close()


@pytest.fixture
def home_of(tmp_path: Path, engine: Engine) -> Iterator[Callable[[str], Home]]:
    """Makes a LABCTL_HOME by name; whatever runs in it is ended after the test."""
    made: list[Home] = []

    def make(name: str) -> Home:
        made.append(Home(tmp_path / name, engine))
        return made[-1]

    yield make
    for each in made:
        each.end_everything()


@pytest.fixture
def host(home_of: Callable[[str], Home]) -> Home:
    """The LABCTL_HOME that most tests work in."""
    return home_of("one")
