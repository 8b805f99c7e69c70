"""The load that `python -m bench.run board_load` measures, small: nothing fails, and what is asked for is done."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.load.hub import LACKS_PROXY, PROXY, hub, locust

LEARNERS, VERIFYING, SECONDS = 20, 4, 20


@pytest.mark.slow
@pytest.mark.skipif(PROXY is None, reason=LACKS_PROXY)
def test_learners_who_look_and_learners_who_verify_are_all_answered(tmp_path: Path) -> None:
    with hub(tmp_path, learners=LEARNERS, verifying=VERIFYING) as served:
        run = locust(served, learners=LEARNERS, seconds=SECONDS, out=tmp_path / "load")
        assert set(served.memory_mib()) == {"hub", "proxy", "board"}
    assert run.returncode == 0, run.stdout + run.stderr
    with (tmp_path / "load_stats.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["Name"]: row for row in csv.DictReader(stream)}
    assert {name for name, row in rows.items() if int(row["Failure Count"])} == set()
    assert int(rows["look"]["Request Count"]) >= LEARNERS
    assert int(rows["verified"]["Request Count"]) >= 1
