"""The check `pytest`: real scripts, run by the real pytest in a process of its own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from labctl.checks.base import BaseCheck
from labctl.grading.attempts import observe_all
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, Response
from labctl.testing.target import FakeTarget, answer, completion

CheckOf = Callable[..., BaseCheck]


@pytest.fixture
def run(tmp_path: Path, check_of: CheckOf) -> Callable[..., CheckResult]:
    """Write a script into a lab's folder and look at a session with it."""
    (tmp_path / "lab/checks").mkdir(parents=True)
    (tmp_path / "workspace").mkdir(exist_ok=True)
    answers = {
        ("api", "POST", "/predict"): answer({"label": "positive"}, status=201),
        ("api", "GET", "/page"): Response(
            status=200, headers={"content-encoding": "gzip"}, body=gzip.compress(b"a page"), duration_s=0.01
        ),
        ("vllm", "POST", "/v1/chat/completions"): completion("Paris", tokens=3, duration_s=0.5),
    }
    target = FakeTarget(
        folder=tmp_path / "workspace",
        answers=answers,
        service_logs={"api": "started\n"},
        learner_services=frozenset({"api"}),
    )

    def look(script: str, **settings: Any) -> CheckResult:
        (tmp_path / "lab/checks/test_it.py").write_text(script)
        settings = {"file": "checks/test_it.py", "lab": str(tmp_path / "lab"), "timeout": "60s", **settings}
        return check_of("pytest", **settings).run(target)

    return look


def test_a_script_sees_the_session_through_its_fixtures(run: Callable[..., CheckResult], tmp_path: Path) -> None:
    (tmp_path / "workspace/run.json").write_text('{"loss": 0.5}')
    script = """
import datetime, sys

def test_it(lab, workspace, service, chat, parameters):
    assert (lab / "checks/test_it.py").is_file()
    assert workspace.read_json("run.json") == {"loss": parameters["loss"]}
    assert [info.path for info in workspace.find("*.json")] == ["run.json"]
    assert workspace.run(sys.executable, "-c", "print(6 * 7)").stdout == "42\\n"
    answer = service("api").post("/predict", json={"text": "hi"}, params={"n": 1})
    assert (answer.status_code, answer.json()["label"]) == (201, "positive")
    assert answer.elapsed == datetime.timedelta(seconds=0.01)
    assert service("api").get("/page").text == "a page"
    assert service("api").log == "started\\n"
    assert service("api").url == "http://api.invalid"
    reply = chat("Capital of France?", service="vllm", model="capitals")
    assert (reply.text, reply.tokens, reply.latency_s) == ("Paris", 3, 0.5)
"""
    result = run(script, parameters={"loss": 0.5})
    assert (result.outcome, result.message) == (Outcome.PASS, "1 test passed")


def test_the_assertions_message_is_the_checks(run: Callable[..., CheckResult]) -> None:
    script = """
def test_a():
    assert 1 + 1 == 3, "the loss must fall"

def test_b():
    {}["loss"]

def test_c():
    pass
"""
    result = run(script)
    assert result.outcome is Outcome.FAIL
    assert result.message == "the loss must fall\nKeyError: 'loss'"
    assert result.actual == {"failed": 2, "of": 3}
    assert run(script, test="test_c").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("def test_it():\n    answer = 42\n    assert answer == 6 * 9, 'not that'", "not that"),
        ("def test_it():\n    'The answer is right.\\n\\nMore.'\n    assert 42 == 6 * 9", "The answer is right."),
        ("def test_it():\n    answer = 42\n    assert answer == 6 * 9", "assert answer == 6 * 9"),
        ("def test_it():\n    'A loss is recorded.'\n    {}['loss']", "A loss is recorded. (KeyError: 'loss')"),
    ],
    ids=["message", "docstring", "line", "crash"],
)
def test_values_that_pytest_could_show_are_not_in_the_message(
    run: Callable[..., CheckResult], script: str, message: str
) -> None:
    result = run(script)
    assert (result.message, result.actual) == (message, None)


def test_failing_cases_get_a_line_each_and_the_same_reason_one(run: Callable[..., CheckResult]) -> None:
    script = "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_it(n):\n    assert n < 1, {}"
    result = run(script.format("f'case {n}\\nand what it was'"))
    assert result.message == "case 1\ncase 2\ncase 3\ncase 4\ncase 5\n… and 2 more"
    assert result.actual == {"failed": 7, "of": 8}
    assert run(script.format("'no answer\\nthe log'")).message == "no answer\nthe log"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("workspace.read_json('out/run.json')", "there is no file out/run.json"),
        ("workspace.read_text('../secret')", "'../secret' leads out of the workspace"),
        ("service('api').get('/none')", "api does not answer GET /none"),
    ],
)
def test_what_the_learner_lacks_fails(run: Callable[..., CheckResult], body: str, why: str) -> None:
    result = run(f"def test_it(workspace, service):\n    {body}\n")
    assert (result.outcome, result.message) == (Outcome.FAIL, why)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("def test_it(service):\n    service('vllm').get('/health')", "vllm does not answer"),
        ("def test_it(nonsense):\n    pass", "nonsense"),
        ("import no_such_module", "no_such_module"),
        ("def test_it(:", "SyntaxError"),
        ("x = 1", "could not be run"),
        ("import os\ndef test_it():\n    os._exit(0)", "could not be run"),
        ("import os, signal\ndef test_it():\n    os.kill(os.getpid(), signal.SIGSEGV)", "could not be run"),
        ("import pytest\ndef test_it():\n    pytest.skip('no GPU')", "no GPU"),
    ],
    ids=["service", "fixture", "import", "syntax", "empty", "exit", "segfault", "skip"],
)
def test_a_script_that_cannot_look_is_an_error(run: Callable[..., CheckResult], script: str, why: str) -> None:
    with pytest.raises(CannotLook, match=why):
        run(script)


def test_a_missing_script_and_a_missing_test_are_errors(run: Callable[..., CheckResult]) -> None:
    with pytest.raises(CannotLook, match="no file"):
        run("", file="checks/test_other.py")
    with pytest.raises(CannotLook, match="could not be run"):
        run("def test_it(): pass", test="test_other")


def test_a_script_that_forks_and_hangs_is_ended_with_its_children(
    run: Callable[..., CheckResult], tmp_path: Path
) -> None:
    script = f"""
import os, pathlib, signal, subprocess, sys, time

def test_it(workspace):
    away = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path({str(tmp_path)!r}, "pids").write_text(f"{{os.getpid()}} {{away.pid}} {{os.getppid()}}")
        time.sleep(600)
    workspace.run("sleep", "599.125", timeout=600)
"""
    with pytest.raises(CannotLook, match="still running after 10s"):
        run(script, timeout="10s")
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert not [p for p in psutil.process_iter(["cmdline"]) if "599.125" in (p.info["cmdline"] or [])]


def test_nothing_in_the_workspace_or_the_environment_is_imported(
    run: Callable[..., CheckResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("conftest.py", "sitecustomize.py", "httpx.py", "pytest.py"):
        (tmp_path / "workspace" / name).write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nraise SystemExit(0)\n")
    (tmp_path / "workspace/pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (tmp_path / "conftest.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "workspace"))
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.chdir(tmp_path / "workspace")
    result = run("def test_it():\n    assert False, 'it ran'")
    assert result.message == "it ran"
    assert not (tmp_path / "owned").exists()


def test_a_flood_of_output_is_cut(run: Callable[..., CheckResult]) -> None:
    script = "import os\ndef test_it(capfd):\n    with capfd.disabled():\n        [os.write(1, b'x' * (1 << 20)) for _ in range(100)]"
    assert run(script).outcome is Outcome.PASS


def test_the_labs_folder_stays_as_it_is(run: Callable[..., CheckResult], tmp_path: Path) -> None:
    run("def test_it(): pass")
    assert sorted(path.name for path in (tmp_path / "lab").rglob("*")) == ["checks", "test_it.py"]


def test_the_plan_fills_in_the_labs_folder(check_of: CheckOf) -> None:
    dumped = check_of("pytest", file="checks/test_it.py").model_dump(exclude_unset=True)
    assert json.dumps(dumped["lab"]) == '"{{ lab_folder }}"'


SHARED = """
import pathlib

import pytest

@pytest.fixture(scope="session")
def made(workspace):
    with open(pathlib.Path(workspace.run("pwd").stdout.strip()) / "made", "a") as file:
        file.write("once\\n")

def test_one(made): pass

def test_two(made):
    assert False, "two is wrong"

class TestMore:
    def test_one(self, made):
        pytest.skip("cannot be seen")

@pytest.mark.parametrize("n", [1, 2])
def test_many(made, n):
    assert n == 1, "many is wrong"
"""


def test_tests_of_one_file_are_one_run_and_each_check_has_its_own(
    run: Callable[..., CheckResult], check_of: CheckOf, tmp_path: Path
) -> None:
    run(SHARED, test="test_one")
    (tmp_path / "workspace/made").unlink()
    lab = {"file": "checks/test_it.py", "lab": str(tmp_path / "lab"), "timeout": "60s"}
    names = ["test_one", "test_two", "TestMore", "test_many", "test_one"]
    checks = [check_of("pytest", test=name, **lab) for name in names]
    assert len({check.shares for check in checks}) == 1
    results = observe_all(checks, FakeTarget(folder=tmp_path / "workspace"))
    assert [(result.outcome, result.message) for result in results] == [
        (Outcome.PASS, "1 test passed"),
        (Outcome.FAIL, "two is wrong"),
        (Outcome.ERROR, "could not look: TestMore::test_one: cannot be seen"),
        (Outcome.FAIL, "many is wrong"),
        (Outcome.PASS, "1 test passed"),
    ]
    assert (tmp_path / "workspace/made").read_text() == "once\n"


def test_checks_that_differ_in_more_than_their_test_share_nothing(check_of: CheckOf) -> None:
    one = check_of("pytest", file="checks/test_it.py", test="test_a", lab="/lab")
    assert one.shares is not None
    for other in ({"parameters": {"n": 2}}, {"file": "checks/test_b.py"}, {"lab": "/other"}):
        assert (
            check_of("pytest", **{"file": "checks/test_it.py", "test": "test_a", "lab": "/lab", **other}).shares
            != one.shares
        )
    for apart in ({"alone": True}, {"retry": "1s"}, {"test": None}):
        settings = {"file": "checks/test_it.py", "test": "test_a", "lab": "/lab", **apart}
        assert check_of("pytest", **settings).shares is None
