"""Whether each recorded run can be repeated from its record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from labctl.checks.answers import to_number


def test_every_run_can_be_repeated(runs: Sequence[Any], retrain: Callable[..., list[str]]) -> None:
    wrong = [reason for reason in retrain(runs) if reason]
    assert not wrong, f"{len(wrong)} of {len(runs)} finished runs of the experiment tickets; {wrong[0]}"


def test_every_epoch_was_logged(runs: Sequence[Any], mlflow: Any) -> None:
    for run in runs:
        epochs = to_number(run.params.get("epochs"))
        for metric in ("train_loss", "val_loss", "val_accuracy"):
            steps = mlflow.steps(run.id, metric)
            assert len(steps) == epochs, (
                f"the run {run.name} has {metric} at {len(steps)} steps; its epochs are {run.params.get('epochs')}"
            )


def test_every_run_names_its_commit(runs: Sequence[Any], git: Callable[..., str]) -> None:
    nameless = [run.name for run in runs if not run.commit]
    assert not nameless, (
        f"the run {nameless[0]} has no mlflow.source.git.commit: MLflow records it when train.py lies in a git repository "
        "that has a commit"
    )
    asked = list(dict.fromkeys(run.commit for run in runs))
    told = git("cat-file", "--batch-check", stdin="".join(f"{commit}\n" for commit in asked)).splitlines()
    known = {line.split()[0] for line in told if line.split()[1:2] == ["commit"]}
    unknown = [run for run in runs if run.commit not in known]
    assert not unknown, (
        f"the run {unknown[0].name} names the commit {unknown[0].commit[:10]}, which this repository does not have"
    )
