"""What happened before the learner came: files from the support team, and a run that a colleague recorded. Ends when it is done.

python colleague.py WORKSPACE MLFLOW_URL

May run again: what is there stays as it is. Speaks to MLflow through its REST API, which is all there is to a tracking client.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LAB = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(LAB / "workspace"), str(LAB / "services")]

import office  # noqa: E402 - the lab's own files are not installed
import training  # noqa: E402

EXPERIMENT = "colleague"
RUN_NAME = "before-the-holidays"
PLANNED_EPOCHS = 12
"""What the record says; the run was ended earlier."""


def main() -> None:
    workspace, url, session = Path(sys.argv[1]), sys.argv[2], os.environ["LABCTL_SESSION"]
    server = Server(url)
    experiment = server.experiment(EXPERIMENT)
    if not server.has_runs(experiment):
        record(server, experiment, office.settings(session))
    put(workspace / "inbox" / "corrections.csv", office.as_csv(office.corrections(session), ("id", "team")))
    # The last, because the health check takes it for the sign that all is done.
    put(workspace / "inbox" / "new_tickets.csv", office.as_csv(office.new_tickets(session)))


def put(path: Path, text: str) -> None:
    """Write the file unless the learner has it already."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")


def record(server: Server, experiment: str, settings: dict[str, Any]) -> None:
    """Train as the colleague did, and leave the record as it was left: complete, but not where one looks first."""
    data = LAB / "workspace" / "data"
    epochs = list(training.train(training.Settings(**settings), data / "tickets.csv", data / "heldout.csv"))
    written = {name: value for name, value in settings.items() if name != "seed"} | {"epochs": PLANNED_EPOCHS}
    tags = {
        "mlflow.user": "mira",
        "mlflow.source.name": "train.py",
        "mlflow.note.content": f"My best so far. Stopped it by hand, my train leaves. Seed was {settings['seed']}.",
        "data_md5": training.md5_of(data / "tickets.csv"),
    }
    run = server.start(experiment, RUN_NAME, tags)
    server.log(run, written, [_measured(epoch) for epoch in epochs])
    server.finish(run)


def _measured(epoch: training.Epoch) -> dict[str, float]:
    return {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss, "val_accuracy": epoch.val_accuracy}


class Server:
    """MLflow's REST API, as far as it is needed."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/2.0/mlflow"

    def experiment(self, name: str) -> str:
        """Its id; made when there is none."""
        try:
            return str(self._ask(f"/experiments/get-by-name?experiment_name={name}")["experiment"]["experiment_id"])
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        return str(self._ask("/experiments/create", {"name": name})["experiment_id"])

    def has_runs(self, experiment: str) -> bool:
        """Whether one is finished: one that was cut short is made again."""
        body = {"experiment_ids": [experiment], "filter": "attributes.status = 'FINISHED'", "max_results": 1}
        return bool(self._ask("/runs/search", body).get("runs"))

    def start(self, experiment: str, name: str, tags: dict[str, str]) -> str:
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        body = {"experiment_id": experiment, "run_name": name, "start_time": _now_ms(), "tags": pairs}
        return str(self._ask("/runs/create", body)["run"]["info"]["run_id"])

    def log(self, run: str, params: dict[str, Any], steps: list[dict[str, float]]) -> None:
        metrics = [
            {"key": key, "value": value, "timestamp": _now_ms(), "step": step}
            for step, measured in enumerate(steps)
            for key, value in measured.items()
        ]
        pairs = [{"key": key, "value": str(value)} for key, value in params.items()]
        self._ask("/runs/log-batch", {"run_id": run, "metrics": metrics, "params": pairs})

    def finish(self, run: str) -> None:
        self._ask("/runs/update", {"run_id": run, "status": "FINISHED", "end_time": _now_ms()})

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=120) as answer:
            told: dict[str, Any] = json.load(answer)
            return told


def _now_ms() -> int:
    return int(time.time() * 1000)


if __name__ == "__main__":
    main()
