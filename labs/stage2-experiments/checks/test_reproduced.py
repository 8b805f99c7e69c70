"""Whether the colleague's result was really made again, and the record was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from labctl.checks.answers import to_number

EXACT = 1e-9


@pytest.fixture
def settings(office: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the colleague really trained with."""
    known: dict[str, Any] = office.settings(parameters["session"])
    return known


def test_colleagues_run_is_reproduced(
    runs: Sequence[Any],
    mlflow: Any,
    settings: Mapping[str, Any],
    retrained: Callable[..., Any],
    judged: Callable[..., str],
    first_md5: str,
) -> None:
    original = mlflow.runs("colleague")[-1]
    made = [run for run in runs if run.tags.get("reproduces") == original.id]
    assert made, f"no finished run of the experiment tickets has the tag reproduces={original.id}"
    hers = {"params": settings, "data_md5": first_md5}
    wanted, *told = retrained([hers, *({"params": dict(run.params), "data_md5": run.data} for run in made)])
    near = [
        (run, values)
        for run, values in zip(made, told, strict=True)
        if run.loss is not None and abs(run.loss - wanted["val_loss"]) <= EXACT
    ]
    assert near, f"the colleague's run came to val_loss {wanted['val_loss']!r}, {made[0].name} to {made[0].loss}"
    reasons = [judged(run, values) for run, values in near]
    assert "" in reasons, reasons[0]


def test_record_was_read(answers: Callable[[str, str], Any], settings: Mapping[str, Any]) -> None:
    wrong, value = answers("colleague", "wrong_parameter"), answers("colleague", "true_value")
    assert str(wrong).strip().lower() == "epochs", (
        f"colleague.wrong_parameter is {wrong}; another one of its parameters disagrees with the rest of the record"
    )
    assert to_number(value) == settings["epochs"], (
        f"colleague.true_value is {value}; the rest of the record says otherwise"
    )
