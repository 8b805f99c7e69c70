"""Whether each recorded run can be repeated from its record, the colleague's was really made again, and hers was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labctl.checks.answers import to_number

EXACT = 1e-9


def test_every_run_can_be_repeated(runs: Sequence[Any], judged: Callable[[Any], str]) -> None:
    wrong = [reason for reason in map(judged, runs) if reason]
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


def test_colleagues_run_is_reproduced(
    runs: Sequence[Any], mlflow: Any, retrained: tuple[Mapping[str, Any], Any], judged: Callable[[Any], str]
) -> None:
    original = mlflow.runs("colleague")[-1]
    made = [run for run in runs if run.tags.get("reproduces") == original.id]
    assert made, f"no finished run of the experiment tickets has the tag reproduces={original.id}"
    wanted = retrained[0]
    near = [run for run in made if run.loss is not None and abs(run.loss - wanted["val_loss"]) <= EXACT]
    assert near, f"the colleague's run came to val_loss {wanted['val_loss']!r}, {made[0].name} to {made[0].loss}"
    reasons = [judged(run) for run in near]
    assert "" in reasons, reasons[0]


def test_record_was_read(answers: Callable[[str, str], Any], settings: Mapping[str, Any]) -> None:
    wrong, value = answers("colleague", "wrong_parameter"), answers("colleague", "true_value")
    assert str(wrong).strip().lower() == "epochs", (
        f"colleague.wrong_parameter is {wrong}; another one of its parameters disagrees with the rest of the record"
    )
    assert to_number(value) == settings["epochs"], (
        f"colleague.true_value is {value}; the rest of the record says otherwise"
    )
