"""Judging in the cluster: a judge that is killed is tried once more, what it may do ends at its namespace, and nothing of it is left."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import yaml

from labctl.errors import EngineError
from labctl.outcomes import Outcome, Report
from labctl.sessions.verify import verify
from tests.conformance.homes import until
from tests.conformance.labs import server
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow]
ACCOUNT = "labctl-grader"
PATIENT = {"file": {"path": "page", "retry": "90s"}}
"""A check that goes on until the learner has done it: time enough to kill who looks."""
KILLED = re.compile("it ended with exit code (130|1)")
"""Python, interrupted: 130; or 1, where pydantic was still building models and made an error of its own of it."""


@pytest.fixture
def patient(faulty: FaultyHome) -> FaultyHome:
    """A session that runs, of a lab whose check waits for the file `page`."""
    lab = faulty.write({"web": server(restart="on-failure")}) / "lab.yaml"
    values = yaml.safe_load(lab.read_text())
    values["criteria"][0]["checks"] = [PATIENT]
    lab.write_text(yaml.safe_dump(values))
    faulty.up()
    return faulty


def test_a_judge_that_is_killed_is_tried_once_more_and_the_report_says_so(patient: FaultyHome) -> None:
    with _judging(patient) as judged:
        first = _next_judge(patient, set())
        _kill(patient, first)
        _next_judge(patient, {first})
        (patient.workspace() / "page").write_text("done")
    report = judged.result()
    assert report.outcome is Outcome.PASS
    assert report.evidence["judge"]["attempts"] == 2
    assert KILLED.fullmatch(report.evidence["judge"]["because"])
    assert [each["evidence"]["judge"]["attempts"] for each in patient.ctx.store.reports(patient.id())] == [2]
    _assert_nothing_of_it_is_left(patient)
    _assert_its_account_ends_at_the_namespace(patient)


def test_a_judge_that_is_killed_twice_is_an_error_and_no_report(patient: FaultyHome) -> None:
    with _judging(patient) as judged:
        first = _next_judge(patient, set())
        _kill(patient, first)
        _kill(patient, _next_judge(patient, {first}))
    with pytest.raises(EngineError, match=f"the judge did not come to an end, 2 times: {KILLED.pattern}"):
        judged.result()
    assert patient.ctx.store.reports(patient.id()) == []
    _assert_nothing_of_it_is_left(patient)


@contextmanager
def _judging(home: FaultyHome) -> Iterator[Future[Report]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(verify, home.ctx, home.session())


def _next_judge(home: FaultyHome, before: set[str]) -> str:
    """The judge's pod that runs now, once there is one that was not there before."""

    def running() -> list[str]:
        pods = [pod for pod in home.pods() if pod["metadata"]["labels"].get("labctl.role") == "grader"]
        return [
            str(pod["metadata"]["name"])
            for pod in pods
            if pod["status"]["phase"] == "Running"
            and "deletionTimestamp" not in pod["metadata"]
            and pod["metadata"]["name"] not in before
        ]

    until(lambda: bool(running()), within_s=120)
    return running()[0]


def _kill(home: FaultyHome, pod: str) -> None:
    interrupt = "import os, signal; os.kill(1, signal.SIGINT)"
    home.kubectl("exec", pod, "--", "python", "-c", interrupt)


def _assert_nothing_of_it_is_left(home: FaultyHome) -> None:
    assert home.api.items("Job", home.namespace) == []
    left = [each["metadata"]["name"] for each in home.api.items("ConfigMap", home.namespace)]
    assert [name for name in left if name.startswith("grader")] == []


def _assert_its_account_ends_at_the_namespace(home: FaultyHome) -> None:
    assert _may(home, "create", "pods", home.namespace)
    for verb, what, where in (
        ("create", "pods", "default"),
        ("get", "secrets", home.namespace),
        ("create", "rolebindings", home.namespace),
        ("delete", "namespaces", home.namespace),
    ):
        assert not _may(home, verb, what, where), f"{ACCOUNT} may {verb} {what} in {where}"


def _may(home: FaultyHome, verb: str, what: str, where: str) -> bool:
    account = f"system:serviceaccount:{home.namespace}:{ACCOUNT}"
    asked = ["kubectl", "auth", "can-i", verb, what, "-n", where, f"--as={account}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30).stdout.strip() == "yes"
