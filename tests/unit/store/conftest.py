"""Every test of the store runs on SQLite and on a real PostgreSQL; those about the file itself, on the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl import settings
from labctl.settings import Settings


@pytest.fixture
def on_file(home: Path) -> Settings:
    return settings.load()


@pytest.fixture(params=["sqlite", "postgresql"])
def chosen(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if request.param == "postgresql":
        monkeypatch.setenv("LABCTL_DATABASE_URL", request.getfixturevalue("postgresql_database"))
    return settings.load()
