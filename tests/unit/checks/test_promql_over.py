"""The check `promql` over time: prepared answers, and a real Prometheus that scrapes itself."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labctl.checks.base import BaseCheck
from labctl.grading.attempts import observe
from labctl.outcomes import Outcome
from labctl.runtimes.exchange import NoAnswer
from labctl.runtimes.exchange import answer as exchanged
from labctl.target import CannotLook, Request, Response
from labctl.testing.target import FakeTarget, answer

CheckOf = Callable[..., BaseCheck]


def ranged(folder: Path, *series: list[str | None], asked: list[dict[str, str]] | None = None) -> FakeTarget:
    """A server whose series have these values from the start of what is asked on, a step each; None: no result there."""

    def query(request: Request) -> Response:
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if asked is not None:
            asked.append(parameters)
        start, step = float(parameters["start"]), float(parameters["step"])
        result = [
            {
                "metric": {"job": f"j{number}"},
                "values": [
                    [round(start + index * step, 3), value] for index, value in enumerate(values) if value is not None
                ],
            }
            for number, values in enumerate(series)
        ]
        return answer({"status": "success", "data": {"resultType": "matrix", "result": result}})

    return FakeTarget(folder=folder, answers={("prom", "GET", "/api/v1/query_range"): query})


def over(check_of: CheckOf, holds: str, **settings: Any) -> BaseCheck:
    return check_of(
        "promql", **{"service": "prom", "query": "up", "value": {"ge": 1}, "over": "20s", "holds": holds, **settings}
    )


@pytest.mark.parametrize(
    ("values", "ever", "always", "last"),
    [
        (["1", "1", "1", "1", "1"], "pass", "pass", "pass"),
        (["0", "0", "1", "0", "0"], "pass", "fail", "fail"),
        (["0", "0", "0", "0", "1"], "pass", "fail", "pass"),
        (["1", "1", "1", "1", "0"], "pass", "fail", "fail"),
        ([None, None, "1", "1", "1"], "pass", "pass", "pass"),
        (["1", None, "1", "1", "1"], "pass", "fail", "pass"),
        (["1", "1", "1", None, None], "pass", "fail", "pass"),
        (["NaN", "NaN"], "fail", "fail", "fail"),
        ([None, None, None], "fail", "fail", "fail"),
    ],
)
def test_when_it_must_hold(
    tmp_path: Path, check_of: CheckOf, values: list[str | None], ever: str, always: str, last: str
) -> None:
    target = ranged(tmp_path, values)
    outcomes = {holds: str(over(check_of, holds).run(target).outcome) for holds in ("ever", "always", "last")}
    assert outcomes == {"ever": ever, "always": always, "last": last}


def test_every_series_of_a_step_must_match(tmp_path: Path, check_of: CheckOf) -> None:
    apart = ranged(tmp_path, ["1", "0"], ["0", "1"])
    assert over(check_of, "ever").run(apart).outcome is Outcome.FAIL
    together = ranged(tmp_path, ["0", "1"], ["0", "1"])
    assert over(check_of, "ever").run(together).outcome is Outcome.PASS


def test_the_query_ends_now_and_begins_that_long_ago(tmp_path: Path, check_of: CheckOf) -> None:
    asked: list[dict[str, str]] = []
    before = time.time()
    over(check_of, "ever", over="10m", step="2s").run(ranged(tmp_path, ["1"], asked=asked))
    [parameters] = asked
    assert (parameters["query"], parameters["step"]) == ("up", "2")
    assert float(parameters["end"]) - float(parameters["start"]) == pytest.approx(600, abs=0.01)
    assert before - 1 <= float(parameters["end"]) <= time.time() + 1


def test_the_message_says_when_it_held(tmp_path: Path, check_of: CheckOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 100_020.0)  # 03:47:00 UTC
    target = ranged(tmp_path, ["1", "1", "0", "1", "0"])
    passed = over(check_of, "ever").run(target)
    assert passed.message == "up was as wanted from 03:46:40 to 03:46:45, at 03:46:55 (UTC)"
    assert passed.actual == {"steps": 5, "held": 3, "times": ["from 03:46:40 to 03:46:45", "at 03:46:55"]}
    failed = over(check_of, "always").run(target)
    assert failed.message == (
        "up was as wanted from 03:46:40 to 03:46:45, at 03:46:55 (UTC); wanted always: "
        "at 03:46:50 it was 0 for {'job': 'j0'}; wanted >= 1"
    )
    gone = over(check_of, "always").run(ranged(tmp_path, ["1", None, "1"]))
    assert gone.message.endswith("wanted always: at 03:46:45 it had no result")
    never = over(check_of, "ever").run(ranged(tmp_path, ["0", "0"]))
    assert never.message.startswith("up was never as wanted in the last 20s; wanted ever: at 03:46:45 it was 0 for")
    assert over(check_of, "last").run(ranged(tmp_path)).message == "up had no result in the last 20s"


@pytest.mark.parametrize(
    "data",
    [
        {"status": "error", "error": "parse error"},
        {"status": "success", "data": {"resultType": "vector", "result": []}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}}]}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "x"]]}]}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1e300, "1"]]}]}},
        {"status": "success", "data": {"resultType": "matrix", "result": 5}},
        [],
        "busy",
    ],
)
def test_what_is_no_answer_says_nothing_about_the_learner(tmp_path: Path, check_of: CheckOf, data: object) -> None:
    target = FakeTarget(folder=tmp_path, answers={("prom", "GET", "/api/v1/query_range"): answer(data)})
    with pytest.raises(CannotLook):
        over(check_of, "ever").run(target)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "values", "value"]), inner),
    max_leaves=8,
)


def test_whatever_a_server_answers_comes_to_an_outcome(tmp_path: Path, check_of: CheckOf) -> None:
    check = over(check_of, "always")

    @settings(deadline=None)
    @given(result=JSON, kind=st.sampled_from(["matrix", "vector", "scalar"]))
    def comes_to_an_outcome(result: Any, kind: str) -> None:
        body = answer({"status": "success", "data": {"resultType": kind, "result": result}})
        paths = ("/api/v1/query_range", "/api/v1/query")
        target = FakeTarget(folder=tmp_path, answers={("prom", "GET", path): body for path in paths})
        for one in (check, check_of("promql", service="prom", query="up", value={"ge": 1})):
            found = observe(one, target)
            assert "Error" not in found.message.partition(":")[0]
            json.dumps(found.actual)

    comes_to_an_outcome()


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"holds": "ever"}, "holds mean something with over only"),
        ({"step": "5s"}, "step mean something with over only"),
        ({"over": "1s"}, "over must be 1 to 11000 steps"),
        ({"over": "30d", "step": "1s"}, "over must be 1 to 11000 steps"),
        ({"over": "10s", "step": 0}, "greater than 0"),
        ({"over": "10s", "holds": "never"}, "holds"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(check_of: CheckOf, given_: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        check_of("promql", service="prom", query="up", value={"ge": 1}, **given_)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer(FakeTarget):
    """A session whose only service is a Prometheus on this host."""

    port: int

    def request(self, request: Request) -> Response:
        try:
            return exchanged(self.port, request)
        except NoAnswer as error:
            raise CannotLook(str(error)) from error


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[RealServer]:
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus on PATH; sudo apt-get install prometheus")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scrape = f"[{{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
    (tmp_path / "prometheus.yml").write_text(f"global: {{scrape_interval: 200ms}}\nscrape_configs: {scrape}\n")
    settings_ = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["prometheus", *settings_], cwd=tmp_path, stdout=log, stderr=log)
    yield RealServer(folder=tmp_path, port=port)
    server.kill()
    server.wait()


def test_a_real_prometheus_is_asked_over_time(prometheus: RealServer, check_of: CheckOf) -> None:
    asking: dict[str, Any] = {"service": "prom", "query": 'up{job="itself"}', "over": "60s", "step": "1s"}
    up = check_of("promql", **asking, value={"equals": 1}, holds="last")
    deadline = time.monotonic() + 60
    while observe(up, prometheus).outcome is not Outcome.PASS:
        assert time.monotonic() < deadline, (prometheus.folder / "log").read_text()
        time.sleep(0.2)
    always = observe(check_of("promql", **asking, value={"equals": 1}, holds="always"), prometheus)
    assert always.outcome is Outcome.PASS, always.message
    assert "was as wanted" in always.message
    never = observe(check_of("promql", **asking, value={"equals": 0}), prometheus)
    assert (never.outcome, "was never as wanted in the last 60s" in never.message) == (Outcome.FAIL, True)
    number = observe(
        check_of("promql", **{**asking, "query": "1 + 1"}, value={"equals": 2}, holds="always"), prometheus
    )
    assert (number.outcome, number.actual["steps"]) == (Outcome.PASS, 61)
    wrong = observe(check_of("promql", **{**asking, "query": "sum("}, value={"equals": 2}), prometheus)
    assert (wrong.outcome, "refused the query" in wrong.message) == (Outcome.ERROR, True)
