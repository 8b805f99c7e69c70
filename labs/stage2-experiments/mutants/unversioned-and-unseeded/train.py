"""Trains the ticket classifier once, and records all that it takes to do it again.

python train.py                                    with the settings of params.yaml
python train.py --learning-rate 0.3 --seed 7       with others
python train.py --tag reproduces=4f0c…             with a tag on the run
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import mlflow
import mlflow.sklearn
import yaml

from training import Epoch, Settings, md5_of, predictions, train

EXPERIMENT = "tickets"
DATA, HELDOUT = Path("data/tickets.csv"), Path("data/heldout.csv")
OUT = Path("out")
REQUIREMENTS = ["scikit-learn", "skops"]
"""What it takes to load the model elsewhere. Left to find out by itself, MLflow starts a process for each model."""


def record(settings: Settings, tags: Mapping[str, str]) -> tuple[str, Epoch]:
    """Train with these settings and record it as one finished run of EXPERIMENT: the run's id, and the last epoch.

    MLFLOW_TRACKING_URI names the server, so there is no address to set. A run holds
    - parameters: every field of `settings`, under its own name;
    - metrics: train_loss, val_loss and val_accuracy of every epoch, each with its epoch's number as the step;
    - tags: `data_md5`, the version of DATA (training.md5_of), and those given;
    - the model, as an MLflow model of scikit-learn's flavour with the name `model` (pass REQUIREMENTS as pip_requirements).
    The commit MLflow records by itself: `mlflow.source.git.commit`.
    """
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run() as run:
        mlflow.log_params({name: value for name, value in asdict(settings).items() if name != "seed"})
        mlflow.set_tags({"data_md5": md5_of(DATA), **tags})
        for epoch in train(settings, DATA, HELDOUT):
            measured = {name: getattr(epoch, name) for name in ("train_loss", "val_loss", "val_accuracy")}
            mlflow.log_metrics(measured, step=epoch.number)
        mlflow.sklearn.log_model(epoch.model, name="model", pip_requirements=REQUIREMENTS)
    return run.info.run_id, epoch


def write(epoch: Epoch) -> None:
    """What the pipeline of step 6 takes on from here: the measures, and a prediction for each held-out ticket."""
    OUT.mkdir(exist_ok=True)
    measured = {"val_loss": epoch.val_loss, "val_accuracy": epoch.val_accuracy}
    (OUT / "metrics.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    with (OUT / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "team", "predicted"])
        writer.writerows(predictions(epoch.model, HELDOUT))


def main() -> None:
    settings, tags = arguments()
    run, epoch = record(settings, tags)
    write(epoch)
    print(f"run {run or '(not recorded)'}: val_loss {epoch.val_loss!r}, val_accuracy {epoch.val_accuracy:.3f}")


def arguments() -> tuple[Settings, dict[str, str]]:
    """params.yaml, and over it the options of the command line."""
    known = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
    parser = argparse.ArgumentParser()
    for field in fields(Settings):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=known[field.name])
    parser.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE")
    given = vars(parser.parse_args())
    tags = dict(tag.split("=", 1) for tag in given.pop("tag"))
    return Settings(**given), tags


if __name__ == "__main__":
    main()
