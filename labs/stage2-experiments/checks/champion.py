"""Loads the registered champion from the MLflow server and lets it read tickets. Runs in the session.

Reads {"texts": […]}, prints {"teams": […], "val_loss", "val_accuracy"}: the teams of these texts, and the measures on the held-out ones.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import mlflow.sklearn
from sklearn.metrics import accuracy_score, log_loss

STARTER = Path(__file__).resolve().parents[1] / "workspace"
sys.path.insert(0, str(STARTER))

import training  # noqa: E402 - the lab's own copy is not installed

texts = json.load(sys.stdin)["texts"]
try:
    model = mlflow.sklearn.load_model("models:/tickets@champion")
    val_texts, val_teams = training.read_tickets(STARTER / "data" / "heldout.csv")
    measured = {
        "teams": [str(team) for team in model.predict(texts)],
        "val_loss": float(log_loss(val_teams, model.predict_proba(val_texts), labels=training.TEAMS)),
        "val_accuracy": float(accuracy_score(val_teams, model.predict(val_texts))),
    }
except Exception as error:  # noqa: BLE001 - whatever was stored as a model is the learner's to mend
    sys.exit(f"models:/tickets@champion cannot be used: {type(error).__name__}: {' '.join(str(error).split())[:250]}")
print(json.dumps(measured))
