"""Whether the registered model is the best one, and what its record says."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any

EXACT = 1e-9
UNSEEN = 300
WORSE = 0.12
"""How much worse 300 unseen tickets may go than the held-out ones: more than four standard deviations."""
MIN_SETTINGS = 4


def test_champion_is_what_its_record_says(
    runs: Sequence[Any], mlflow: Any, drive: Callable[..., Any], office: Any
) -> None:
    record = champion(mlflow, runs)
    tickets = office.draw(random.Random(), UNSEEN, 1)
    told = drive("champion.py", {"texts": [ticket["text"] for ticket in tickets]})
    for metric in ("val_accuracy", "val_loss"):
        recorded = record.metrics.get(metric)
        assert recorded is not None, f"the champion's run records no {metric}"
        assert abs(recorded - told[metric]) <= EXACT, (
            f"the champion's run records {metric} {recorded}; its model, loaded from the server, has {told[metric]!r}"
        )
    right = sum(team == ticket["team"] for team, ticket in zip(told["teams"], tickets, strict=True)) / UNSEEN
    said = record.metrics["val_accuracy"]
    assert right >= said - WORSE, (
        f"of {UNSEEN} unseen tickets the champion gets {right:.0%} right; its record says {said:.0%}"
    )


def test_best_run_is_the_champion(runs: Sequence[Any], mlflow: Any, workspace: Any, first_md5: str) -> None:
    current = hashlib.md5(workspace.read_bytes("data/tickets.csv"), usedforsecurity=False).hexdigest()
    assert current != first_md5, "data/tickets.csv is the first version; the best is searched on the second"
    candidates = [run for run in runs if run.data == current and run.loss is not None]
    settings = {run.settings for run in candidates}
    assert len(settings) >= MIN_SETTINGS, (
        f"{len(settings)} different settings were recorded on the data that is there now; wanted {MIN_SETTINGS}"
    )
    chosen = champion(mlflow, runs)
    assert chosen in candidates, f"the champion, {chosen.name}, was trained on another version of the data"
    lowest = min(run.loss for run in candidates)
    assert chosen.loss == lowest, f"the champion has val_loss {chosen.loss}; another run on the same data has less"


def champion(mlflow: Any, runs: Sequence[Any]) -> Any:
    """The run whose model is registered as the champion."""
    absent = "there is no registered model `tickets` with an alias `champion`"
    told = mlflow.get("registered-models/alias", absent, name="tickets", alias="champion")
    version = told.get("model_version") or {}
    found = [run for run in runs if run.id == version.get("run_id")]
    assert found, "the champion's model comes from none of the finished runs of the experiment tickets"
    return found[0]
