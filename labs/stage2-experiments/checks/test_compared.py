"""Whether the two versions of the data were compared by runs that differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from labctl.checks.answers import to_number


def test_versions_are_compared(runs: Sequence[Any], answers: Callable[[str, str], Any], first_md5: str) -> None:
    first, second = (named(runs, key, str(answers("compare", key))) for key in ("run_v1", "run_v2"))
    assert first.data == first_md5, f"compare.run_v1, {first.name}, was not trained on the first version of the data"
    assert second.data != first_md5, f"compare.run_v2, {second.name}, was trained on the first version of the data"
    assert first.settings == second.settings, "the two runs differ in more than the data: their parameters differ too"
    gain, given = first.loss - second.loss, to_number(answers("compare", "val_loss_gain"))
    wrong = "compare.val_loss_gain is not val_loss of run_v1 minus val_loss of run_v2"
    assert given is not None, wrong
    assert abs(given - gain) <= 0.02 * abs(gain), wrong


def named(runs: Sequence[Any], key: str, id: str) -> Any:
    found = [run for run in runs if run.id == id]
    assert found, f"compare.{key} in answers.yaml is the id of none of the finished runs of the experiment tickets"
    return found[0]
