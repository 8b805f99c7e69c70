"""Tries several settings on the current data, finds the best run by a search, and registers its model.

python sweep.py
"""

from __future__ import annotations

import mlflow

import train
from training import Settings, md5_of

MODEL = "tickets"
ALIAS = "champion"

CHOICES = [
    Settings(ngrams=2, seed=1),
    Settings(ngrams=1, learning_rate=0.4, seed=1),
    Settings(ngrams=2, learning_rate=0.4, seed=1),
]
"""With the one of step 3 four different settings."""


def best_run(data_md5: str) -> str:
    """The id of the finished run with the lowest val_loss among those on this version of the data."""
    found = mlflow.search_runs(
        experiment_names=[train.EXPERIMENT],
        filter_string=f"tags.data_md5 = '{data_md5}' and attributes.status = 'FINISHED'",
        order_by=["metrics.val_loss ASC"],
        max_results=1,
        output_format="list",
    )
    return found[0].info.run_id


def register(run_id: str) -> None:
    """Register the run's model as a new version of MODEL, and let the alias ALIAS point to that version."""
    version = mlflow.register_model(f"runs:/{run_id}/model", MODEL)
    mlflow.MlflowClient().set_registered_model_alias(MODEL, ALIAS, version.version)


def main() -> None:
    for settings in CHOICES:
        train.record(settings, {})
    register(best_run(md5_of(train.DATA)))


if __name__ == "__main__":
    main()
