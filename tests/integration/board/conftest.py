"""One Hub with one class for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.board.portal import START_S, Portal, portal, until


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal(tmp_path_factory.mktemp("portal")) as found:
        yield found


@pytest.fixture(autouse=True)
def back(request: pytest.FixtureRequest) -> None:
    """A test that failed may have left the board killed: the next waits until it is there again."""
    if "served" in request.fixturenames:
        until(request.getfixturevalue("served").answers, START_S)
