"""What the check scripts share: the records on the MLflow server, training from a record, git, and what this session holds."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.checks.answers import is_open

SETTINGS = ("ngrams", "min_df", "learning_rate", "l2", "epochs", "seed")
EXACT = 1e-9
"""How far two trainings with the same settings, data and seed may be apart."""
MAX_RUNS = 40
_SAFE = ("git", "--no-pager", "--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run as the server shows it, its metrics with their last values."""

    id: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def loss(self) -> float | None:
        return self.metrics.get("val_loss")

    @property
    def data(self) -> str | None:
        return self.tags.get("data_md5")

    @property
    def settings(self) -> tuple[str | None, ...]:
        return tuple(self.params.get(name) for name in SETTINGS)

    @property
    def commit(self) -> str | None:
        return self.tags.get("mlflow.source.git.commit") or self.tags.get("git_commit")

    def missing(self) -> list[str]:
        """What the record lacks to be repeated."""
        lacks = [f"the parameter {name}" for name in SETTINGS if name not in self.params]
        lacks += [] if self.data else ["the tag data_md5"]
        return lacks + ([] if self.loss is not None else ["the metric val_loss"])


class Server:
    """MLflow's REST API. What is not there fails the test."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def runs(self, experiment: str) -> list[Run]:
        """The finished runs of an experiment that are not deleted, the newest first."""
        found = self.get(
            "experiments/get-by-name", f"there is no experiment {experiment!r}", experiment_name=experiment
        )
        body = {
            "experiment_ids": [found["experiment"]["experiment_id"]],
            "filter": "attributes.status = 'FINISHED'",
            "run_view_type": "ACTIVE_ONLY",
            "max_results": MAX_RUNS,
        }
        answer = self._client.post("/api/2.0/mlflow/runs/search", json=body, timeout=120)
        assert answer.status_code == 200, f"MLflow answers {answer.status_code} to a search"
        return [_run(each) for each in answer.json().get("runs", [])]

    def steps(self, run: str, metric: str) -> list[int]:
        """At which steps a metric was logged."""
        told = self.get("metrics/get-history", f"the run {run} has no {metric}", run_id=run, metric_key=metric)
        return sorted({int(each.get("step", 0)) for each in told.get("metrics", [])})

    def get(self, path: str, absent: str, **query: str) -> dict[str, Any]:
        answer = self._client.get(f"/api/2.0/mlflow/{path}", params=query, timeout=120)
        assert answer.status_code not in (400, 404), absent
        assert answer.status_code == 200, f"MLflow answers {answer.status_code} to {path}"
        told: dict[str, Any] = answer.json()
        return told


def _run(told: Mapping[str, Any]) -> Run:
    info, data = told["info"], told["data"]
    return Run(
        id=info["run_id"],
        name=info.get("run_name", info["run_id"]),
        params={each["key"]: each["value"] for each in data.get("params", [])},
        metrics={each["key"]: each["value"] for each in data.get("metrics", [])},
        tags={each["key"]: each["value"] for each in data.get("tags", [])},
    )


@pytest.fixture(scope="session")
def mlflow(service: Callable[..., Any]) -> Server:
    return Server(service("mlflow"))


@pytest.fixture(scope="session")
def runs(mlflow: Server) -> list[Run]:
    """The learner's runs, the newest first."""
    found = mlflow.runs("tickets")
    assert found, "the experiment `tickets` has no finished run"
    return found


@pytest.fixture(scope="session")
def office(lab: Path) -> Any:
    """The lab's own module: what this session's files and the colleague's settings are."""
    sys.path.insert(0, str(lab / "services"))
    import office as module

    return module


@pytest.fixture(scope="session")
def first_md5(lab: Path) -> str:
    """The md5 of the tickets that everyone begins with."""
    return hashlib.md5((lab / "workspace" / "data" / "tickets.csv").read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="session")
def drive(workspace: Any, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """A function that runs one of the lab's own drivers in the session, and gives the JSON value it prints."""

    def answer(driver: str, asked: Any) -> Any:
        program = f"{parameters['lab']}/checks/{driver}"
        done = workspace.run("python", "-I", "-B", program, stdin=json.dumps(asked), timeout=540)
        assert not done.timed_out, f"{driver} was not done after 9 minutes"
        assert done.exit_code == 0, done.stderr.strip().splitlines()[-1][:400] if done.stderr.strip() else driver
        return json.loads(done.stdout.strip().splitlines()[-1])

    return answer


@pytest.fixture(scope="session")
def settings(office: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the colleague really trained with."""
    known: dict[str, Any] = office.settings(parameters["session"])
    return known


@pytest.fixture(scope="session")
def retrained(
    drive: Callable[..., Any], runs: Sequence[Run], settings: Mapping[str, Any], first_md5: str
) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
    """What training comes to, its metrics or "error": as the colleague did, and as each of the learner's runs says, by its id.

    All in one process, which takes longer to load than to train.
    """
    records = [{"params": dict(run.params), "data_md5": run.data} for run in runs]
    hers, *theirs = drive("retrain.py", [{"params": settings, "data_md5": first_md5}, *records])
    return hers, {run.id: told for run, told in zip(runs, theirs, strict=True)}


@pytest.fixture(scope="session")
def judged(retrained: tuple[Any, Mapping[str, Any]]) -> Callable[[Run], str]:
    """A function from a run to what is wrong with its record; "" for one that, trained again from it, comes to the same loss."""
    return lambda run: _compared(run, retrained[1][run.id])


def _compared(run: Run, told: Mapping[str, Any]) -> str:
    if run.missing():
        return f"the run {run.name} does not say all that it takes to repeat it: it lacks {', '.join(run.missing())}"
    if "error" in told:
        return f"the run {run.name} cannot be repeated from its record: {told['error']}"
    for metric in ("val_loss", "val_accuracy"):
        recorded = run.metrics.get(metric)
        if recorded is None or abs(recorded - told[metric]) > EXACT:
            return (
                f"the run {run.name} records {metric} {recorded}; training with what it records gives {told[metric]!r}"
            )
    return ""


@pytest.fixture(scope="session")
def git(workspace: Any) -> Callable[..., str]:
    """A function that asks git in the workspace; "" where git says no."""

    def output(*arguments: str, stdin: str = "") -> str:
        done = workspace.run(*_SAFE, *arguments, stdin=stdin, timeout=60)
        return done.stdout if done.exit_code == 0 else ""

    return output


@pytest.fixture(scope="session")
def answers(workspace: Any) -> Callable[[str, str], Any]:
    """A function from a group and a key of answers.yaml to the answer; an open one fails the test."""

    def answer(group: str, key: str) -> Any:
        given = yaml.safe_load(workspace.read_text("answers.yaml"))
        found = given.get(group) if isinstance(given, dict) else None
        value = found.get(key) if isinstance(found, dict) else None
        assert not is_open(value), f"{group}.{key} in answers.yaml is still open"
        return value

    return answer
