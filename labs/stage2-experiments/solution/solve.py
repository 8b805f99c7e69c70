"""The whole lab, in the order of the instructions; a learner types most of it into a shell.

All in one process, because MLflow and DVC take seconds to load.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import mlflow
import yaml
from dvc.cli import main as dvc_command
from mlflow.entities import Run

import clean
import sweep
import train
from training import Settings

DATA = "data/tickets.csv"
AS_PLANNED = Settings(**yaml.safe_load(Path("params.yaml").read_text())["train"])


def main(
    version: Callable[[str], None] | None = None,
    old_data: Callable[[], None] | None = None,
    current_data: Callable[[], None] | None = None,
    reproduce: Callable[[Run], None] | None = None,
) -> None:
    """Mutants put their own steps in the place of some."""
    version, reproduce = version or new_version, reproduce or train_as_recorded
    start_repository()
    version("data-v1")
    run_v1, before = train.record(AS_PLANNED, {})
    clean.main()
    version("data-v2")
    run_v2, after = train.record(AS_PLANNED, {})
    sweep.main()
    theirs = mlflow.search_runs(experiment_names=["colleague"], output_format="list")[0]
    (old_data or back_to_old_data)()
    reproduce(theirs)
    (current_data or back_to_current_data)()
    dvc("repro", "--quiet")
    commit("The pipeline")
    compare = {"run_v1": run_v1, "run_v2": run_v2, "val_loss_gain": before.val_loss - after.val_loss}
    colleague = {"wrong_parameter": "epochs", "true_value": len(history(theirs))}
    Path("answers.yaml").write_text(yaml.safe_dump({"compare": compare, "colleague": colleague}))


def start_repository() -> None:
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "Learner")
    git("config", "user.email", "learner@example.org")
    dvc("init", "--quiet")
    dvc("remote", "add", "--quiet", "--default", "storage", "storage")


def new_version(tag: str) -> None:
    dvc("add", "--quiet", DATA)
    commit(f"Tickets: {tag}")
    git("tag", tag)
    dvc("push", "--quiet")


def back_to_old_data() -> None:
    git("checkout", "--quiet", "data-v1", "--", f"{DATA}.dvc")
    dvc("checkout", "--quiet", f"{DATA}.dvc")


def back_to_current_data() -> None:
    git("checkout", "--quiet", "data-v2", "--", f"{DATA}.dvc")
    dvc("checkout", "--quiet", f"{DATA}.dvc")


def train_as_recorded(run: Run) -> None:
    """Epochs from the history of a metric, the seed from the description, the rest from the parameters."""
    params = run.data.params
    seed = re.search(r"[Ss]eed was (\d+)", run.data.tags["mlflow.note.content"])
    assert seed
    settings = Settings(
        ngrams=int(params["ngrams"]),
        min_df=int(params["min_df"]),
        learning_rate=float(params["learning_rate"]),
        l2=float(params["l2"]),
        epochs=len(history(run)),
        seed=int(seed[1]),
    )
    train.record(settings, {"reproduces": run.info.run_id})


def history(run: Run) -> list[float]:
    return [each.value for each in mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")]


def commit(message: str) -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", message)


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def dvc(*arguments: str) -> None:
    if code := dvc_command(list(arguments)):
        raise SystemExit(f"dvc {arguments[0]} ended with {code}")


if __name__ == "__main__":
    main()
