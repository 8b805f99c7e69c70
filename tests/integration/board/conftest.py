"""One Hub with one class for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.board.portal import Portal, portal


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal(tmp_path_factory.mktemp("portal")) as found:
        yield found
