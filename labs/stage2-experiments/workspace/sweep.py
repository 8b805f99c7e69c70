"""Step 4: try several settings on the current data, find the best run by a search, and register its model.

    python sweep.py
"""

from __future__ import annotations

from training import Settings

MODEL = "tickets"
ALIAS = "champion"

CHOICES = [Settings(seed=1)]
"""TODO (step 4): with the one of step 3 at least four different settings."""


def best_run(data_md5: str) -> str:
    """The id of the finished run of the experiment `tickets` with the lowest val_loss among those on this version of the data.

    A search on the server (mlflow.search_runs with a filter and an order), so that runs of last week count too.
    """
    raise NotImplementedError("step 4: best_run in sweep.py")


def register(run_id: str) -> None:
    """Register the run's model as a new version of MODEL, and let the alias ALIAS point to that version."""
    raise NotImplementedError("step 4: register in sweep.py")


def main() -> None:
    # TODO (step 4): record a run for each of CHOICES (train.record), then register the model of the best run.
    for settings in CHOICES:
        print(settings)


if __name__ == "__main__":
    main()
