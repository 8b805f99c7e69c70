from __future__ import annotations

from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import UsageError
from labctl.runtimes import table


def test_every_runtime_of_the_table_loads(tmp_path: Path) -> None:
    for name in table.RUNTIMES:
        assert table.get(name, settings.load({"LABCTL_HOME": str(tmp_path), "USER": "ada"})).name == name


def test_an_unknown_runtime_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        table.get("mainframe", settings.load({"LABCTL_HOME": str(tmp_path), "USER": "ada"}))
    assert "mainframe" in caught.value.what
    assert "local" in caught.value.hint
