"""The check `mlflow_run`, on answers as MLflow 3's REST API gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, Request, Response
from labctl.testing.target import Answer, FakeTarget, answer

CheckOf = Callable[..., BaseCheck]
API = "/api/2.0/mlflow"
EXPERIMENT = {"experiment": {"experiment_id": "1", "name": "grid", "lifecycle_stage": "active"}}


def run(name: str, params: dict[str, str], metrics: dict[str, Any], status: str = "FINISHED") -> dict[str, Any]:
    pairs = {
        "params": [{"key": key, "value": value} for key, value in params.items()],
        "metrics": [{"key": key, "value": value, "timestamp": 1, "step": 2} for key, value in metrics.items()],
    }
    info = {"run_id": f"id-{name}", "run_name": name, "experiment_id": "1", "status": status}
    return {"info": {**info, "lifecycle_stage": "active"}, "data": pairs}


RUNS = [
    run("open", {"rank": "16"}, {}, "RUNNING"),
    run("r16", {"rank": "16", "packed": "True"}, {"loss": 0.02, "bad": "NaN"}),
    run("r4", {"rank": "4"}, {"loss": 0.2}),
]
MODEL = {"model_id": "m-1", "name": "model", "source_run_id": "id-r16", "status": "LOGGED_MODEL_READY"}


def listed(request: Request) -> Response:
    """The artifacts of the run r16: a file in a folder; other runs have none."""
    if "run_id=id-r16" not in request.path:
        return answer({"root_uri": "x"})
    files = ["plots/loss.png"] if "path=plots" in request.path else ["plots"]
    return answer({"root_uri": "x", "files": [{"path": path, "is_dir": True} for path in files]})


def served(target: FakeTarget, *, runs: Any = RUNS, models: Any = ({"info": MODEL},)) -> FakeTarget:
    model_files = f"{API}/logged-models/m-1/artifacts/directories"
    answers: dict[tuple[str, str, str], Answer] = {
        ("mlflow", "GET", f"{API}/experiments/get-by-name"): answer(EXPERIMENT),
        ("mlflow", "POST", f"{API}/runs/search"): answer({"runs": runs}),
        ("mlflow", "GET", f"{API}/artifacts/list"): listed,
        ("mlflow", "POST", f"{API}/logged-models/search"): answer({"models": list(models)}),
        ("mlflow", "GET", model_files): answer({"files": [{"path": "MLmodel"}]}),
    }
    return FakeTarget(folder=target.folder, answers=answers)


def looked(target: FakeTarget, check_of: CheckOf, **settings: Any) -> CheckResult:
    return check_of("mlflow_run", service="mlflow", experiment="grid", **settings).run(target)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_runs": 2},
        {"params": {"rank": {"equals": 16}, "packed": {"equals": "True"}}, "metrics": {"loss": {"lt": 0.1}}},
        {"params": {"rank": {"equals": "16"}}},
        {"artifacts": ["plots", "plots/loss.png", "model"]},
    ],
)
def test_a_finished_run_as_wanted_passes(target: FakeTarget, check_of: CheckOf, settings: dict[str, Any]) -> None:
    result = looked(served(target), check_of, **settings)
    assert result.outcome is Outcome.PASS, result.message


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"min_runs": 3}, "2 of 3 runs of the experiment grid are as wanted; wanted 3; open: its status is RUNNING"),
        ({"params": {"rank": {"equals": 8}}}, "r16: its parameter rank is '16'; wanted equal to 8"),
        ({"params": {"seed": {"ge": 0}}}, "it has no parameter seed"),
        ({"params": {"rank": {"equals": 4}}, "metrics": {"loss": {"lt": 0.1}}}, "wanted equal to 4"),
        ({"metrics": {"bad": {"ge": 0}}}, "its metric bad is 'NaN'; wanted >= 0"),
        ({"metrics": {"f1": {"ge": 0}}}, "it has no metric f1"),
        ({"artifacts": ["plots/other.png"]}, "r16: it stored no plots/other.png"),
    ],
)
def test_the_nearest_run_says_what_is_wanting(
    target: FakeTarget, check_of: CheckOf, settings: dict[str, Any], why: str
) -> None:
    result = looked(served(target), check_of, **settings)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


@pytest.mark.parametrize(
    "model",
    [
        {**MODEL, "source_run_id": "id-r4"},
        {**MODEL, "name": "other"},
        {**MODEL, "status": "LOGGED_MODEL_UPLOAD_FAILED"},
        {**MODEL, "model_id": "empty"},
    ],
)
def test_a_model_of_another_run_or_without_files_does_not_count(
    target: FakeTarget, check_of: CheckOf, model: dict[str, Any]
) -> None:
    empty = {("mlflow", "GET", f"{API}/logged-models/empty/artifacts/directories"): answer({"root_uri": "x"})}
    there = served(target, models=[{"info": model}])
    there = FakeTarget(folder=target.folder, answers={**there.answers, **empty})
    only = {"params": {"packed": {"equals": "True"}}}  # r16
    assert "it stored no model" in looked(there, check_of, artifacts=["model"], **only).message


def test_an_experiment_that_is_not_there_was_deleted_or_is_empty_fails(target: FakeTarget, check_of: CheckOf) -> None:
    key = ("mlflow", "GET", f"{API}/experiments/get-by-name")
    absent = FakeTarget(folder=target.folder, answers={key: answer({"error_code": "x"}, status=404)})
    assert looked(absent, check_of).message == "there is no experiment grid on mlflow"
    deleted = {"experiment": {**EXPERIMENT["experiment"], "lifecycle_stage": "deleted"}}
    gone = FakeTarget(folder=target.folder, answers={key: answer(deleted)})
    assert looked(gone, check_of).message == "the experiment grid was deleted"
    assert (
        "has no run that `tags.a = 'b'` finds"
        in looked(served(target, runs=[]), check_of, filter="tags.a = 'b'").message
    )


def test_a_filter_that_mlflow_does_not_take_is_the_labs_mistake(target: FakeTarget, check_of: CheckOf) -> None:
    there = served(target)
    refused = {("mlflow", "POST", f"{API}/runs/search"): answer({"error_code": "INVALID"}, status=400)}
    with pytest.raises(CannotLook, match="answered 400"):
        looked(FakeTarget(folder=target.folder, answers={**there.answers, **refused}), check_of, filter="rank ~ 3")


def test_all_pages_of_runs_are_read(target: FakeTarget, check_of: CheckOf) -> None:
    def search(request: Request) -> Response:
        token = json.loads(request.body or b"{}").get("page_token")
        return answer({"runs": [RUNS[2]]}) if token == "two" else answer({"runs": [RUNS[1]], "next_page_token": "two"})

    there = served(target)
    paged = {("mlflow", "POST", f"{API}/runs/search"): search}
    result = looked(FakeTarget(folder=target.folder, answers={**there.answers, **paged}), check_of, min_runs=2)
    assert result.outcome is Outcome.PASS


@pytest.mark.parametrize(
    "runs",
    [None, 3, {}, [3], [{}], [{"info": 3, "data": 4}], [{"info": {}, "data": {"params": [3], "metrics": {"a": 1}}}]],
)
def test_answers_of_another_form_fail(target: FakeTarget, check_of: CheckOf, runs: Any) -> None:
    result = looked(served(target, runs=runs), check_of, metrics={"loss": {"lt": 1}})
    assert result.outcome is Outcome.FAIL
