"""`mlflow_run`: what was recorded on an MLflow server."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from labctl.checks.base import BaseCheck, NonEmpty, Unmet
from labctl.checks.documents import brief, parse_json
from labctl.checks.match import Match, as_number
from labctl.checks.request import require_status
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Request, Target

API = "/api/2.0/mlflow"
PAGE = 500
MAX_PAGES = 10
MAX_BYTES = 16 * 1024 * 1024
MAX_REASONS = 5


class MlflowRunCheck(BaseCheck):
    """Finished runs of an MLflow experiment: their parameters, the last values of their metrics, and what they stored.

    Read through MLflow's REST API 2.0. Deleted, running and failed runs do not count.
    """

    kind: Literal["mlflow_run"] = "mlflow_run"
    service: NonEmpty
    """The MLflow server."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    experiment: NonEmpty
    """The experiment's name."""
    filter: str = ""
    """MLflow's own search filter, for example "tags.candidate = 'yes'"; at most the 5000 newest runs that it finds count."""
    params: dict[NonEmpty, Match] = {}
    """Parameters by name. They are texts in MLflow; one that reads as a number also compares as a number."""
    metrics: dict[NonEmpty, Match] = {}
    """Metrics by name: the last value that was logged."""
    artifacts: list[NonEmpty] = []
    """Files or folders of the run, or names of models logged by it, for example model or plots/loss.png."""
    min_runs: int = Field(default=1, ge=1)
    """How many runs must be as wanted."""

    def look(self, target: Target) -> CheckResult:
        server = _Server(target=target, check=self)
        experiment = server.experiment(self.experiment)
        runs = list(server.runs(experiment, self.filter))
        if not runs:
            which = f" that `{self.filter}` finds" if self.filter else ""
            raise Unmet(f"the experiment {self.experiment} has no run{which}")
        judged = [(self._unmet(server, run), run) for run in runs]
        good = [run for unmet, run in judged if not unmet]
        seen = {"runs": len(runs), "as_wanted": len(good)}
        if len(good) >= self.min_runs:
            return self.passed(self._text(len(good), len(runs)), actual={**seen, "run": good[0].seen()})
        unmet, nearest = min(judged, key=_distance)
        why = f"; {nearest.name}: {'; '.join(unmet[:MAX_REASONS])}" if unmet else ""
        text = f"{self._text(len(good), len(runs))}; wanted {self.min_runs}{why}"
        return self.failed(text, expected=unmet or None, actual={**seen, "run": nearest.seen()})

    def _text(self, good: int, count: int) -> str:
        return f"{good} of {count} runs of the experiment {self.experiment} {'is' if good == 1 else 'are'} as wanted"

    def _unmet(self, server: _Server, run: _Run) -> list[str]:
        """What is wanting in one run. Only for a run that is right so far is the server asked for more."""
        unmet = [] if run.status == "FINISHED" else [f"its status is {run.status}, not FINISHED"]
        unmet += [why for name, match in self.params.items() for why in _param_unmet(name, match, run.params)]
        unmet += [why for name, match in self.metrics.items() for why in _metric_unmet(name, match, run.metrics)]
        if not unmet:
            unmet = [f"it stored no {path}" for path in self.artifacts if not server.stored(run, path)]
        return unmet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run as the server shows it, its metrics with their last values."""

    id: str
    name: str
    experiment: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, Any]

    def seen(self) -> dict[str, Any]:
        shown = {"params": dict(list(self.params.items())[:30]), "metrics": dict(list(self.metrics.items())[:30])}
        return {"name": self.name, "id": self.id, "status": self.status, **shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """MLflow's REST API, as far as it is needed."""

    target: Target
    check: MlflowRunCheck

    def experiment(self, name: str) -> str:
        """Its id. Unmet when there is none, or it was deleted."""
        path = f"{API}/experiments/get-by-name?{urlencode({'experiment_name': name}, quote_via=quote)}"
        answer = self._ask("GET", path, absent=f"there is no experiment {name} on {self.check.service}")
        found = _dict(answer.get("experiment"))
        if found.get("lifecycle_stage") != "active":
            raise Unmet(f"the experiment {name} was deleted")
        return str(found.get("experiment_id"))

    def runs(self, experiment: str, wanted: str) -> Iterator[_Run]:
        """Runs that are not deleted, the newest first."""
        body = {"experiment_ids": [experiment], "filter": wanted, "run_view_type": "ACTIVE_ONLY", "max_results": PAGE}
        for answer in self._pages("/runs/search", body):
            yield from (_run(run) for run in _dicts(answer.get("runs")))

    def stored(self, run: _Run, path: str) -> bool:
        """Whether a run stored this file or folder, or logged a model of this name that is ready and not empty."""
        wanted, parent = posixpath.normpath(path), posixpath.dirname(posixpath.normpath(path))
        query = {"run_id": run.id, **({"path": parent} if parent else {})}
        if any(entry.get("path") == wanted for entry in self._files(f"{API}/artifacts/list", query)):
            return True
        return any(self._has_files(model) for model in self._models(run, wanted))

    def _models(self, run: _Run, name: str) -> Iterator[str]:
        """Ids of models of this name that the run logged: MLflow 3 keeps them beside its runs."""
        body = {"experiment_ids": [run.experiment], "filter": f"source_run_id = '{run.id}'"}
        for answer in self._pages("/logged-models/search", body):
            for model in _dicts(answer.get("models")):
                info = _dict(model.get("info"))
                is_it = info.get("name") == name and info.get("source_run_id") == run.id
                if is_it and info.get("status") in ("LOGGED_MODEL_READY", "READY"):
                    yield str(info.get("model_id"))

    def _has_files(self, model: str) -> bool:
        return bool(self._files(f"{API}/logged-models/{quote(model, safe='')}/artifacts/directories", {}))

    def _files(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        asked = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        return _dicts(self._ask("GET", asked).get("files"))

    def _pages(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(MAX_PAGES):
            answer = self._ask("POST", f"{API}{path}", {**body, **({"page_token": token} if token else {})})
            yield answer
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _ask(self, method: str, path: str, body: Any = None, absent: str = "") -> dict[str, Any]:
        request = Request(
            service=self.check.service,
            port=self.check.port,
            path=path,
            method=method,
            headers={} if body is None else {"content-type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
            timeout_s=self.check.timeout,
            max_bytes=MAX_BYTES,
        )
        response = self.target.request(request)
        asked = f"{self.check.service}: {method} {path.partition('?')[0]}"
        if absent and response.status == 404:
            raise Unmet(absent)
        if response.status == 400:  # the lab's own `filter`, for all else is asked as MLflow documents it
            raise CannotLook(f"{asked} answered 400: {response.text[:300]}")
        require_status(response, 200, asked)
        return _dict(parse_json(response.body, f"the answer to {asked}"))


def _distance(judged: tuple[list[str], _Run]) -> tuple[bool, bool, int]:
    """Order by what a learner should hear of first: a run that is not right, is finished, and lacks little."""
    unmet, run = judged
    return not unmet, run.status != "FINISHED", len(unmet)


def _run(value: Mapping[str, Any]) -> _Run:
    info, data = _dict(value.get("info")), _dict(value.get("data"))
    return _Run(
        id=str(info.get("run_id")),
        name=str(info.get("run_name") or info.get("run_id")),
        experiment=str(info.get("experiment_id")),
        status=str(info.get("status")),
        params={str(each.get("key")): str(each.get("value")) for each in _dicts(data.get("params"))},
        metrics={str(each.get("key")): each.get("value") for each in _dicts(data.get("metrics"))},
    )


def _param_unmet(name: str, match: Match, params: Mapping[str, str]) -> list[str]:
    if name not in params:
        return [f"it has no parameter {name}"]
    text = params[name]
    unmet = match.unmet(text)
    if unmet and as_number(text) is not None:
        unmet = match.unmet(as_number(text))
    return [f"its parameter {name} is {brief(text)}; wanted {' and '.join(unmet)}"] if unmet else []


def _metric_unmet(name: str, match: Match, metrics: Mapping[str, Any]) -> list[str]:
    if name not in metrics:
        return [f"it has no metric {name}"]
    unmet = match.unmet(metrics[name])
    return [f"its metric {name} is {brief(metrics[name])}; wanted {' and '.join(unmet)}"] if unmet else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
