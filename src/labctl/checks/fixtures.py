"""The pytest plugin that a lab's check scripts run with: fixtures on the session, and a record of what each test came to."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from labctl.checks.base import Unmet
from labctl.checks.completion import Endpoint, Reply, as_messages
from labctl.checks.documents import read_json, read_text, read_whole
from labctl.checks.pytest import FOLDER
from labctl.target import (
    MAX_FILE_BYTES,
    CannotLook,
    CommandResult,
    FileInfo,
    RefusedPath,
    Request,
    Target,
    TargetSpec,
    Unreachable,
    connect,
)

_SPEAK_FOR_THEMSELVES = (
    AssertionError,
    pytest.fail.Exception,
    pytest.skip.Exception,
    CannotLook,
    Unreachable,
    RefusedPath,
    Unmet,
)
_records: dict[str, dict[str, str]] = {}


class Workspace:
    """The learner's files, and commands run as the session. A file that is missing or unreadable fails the test."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def read_bytes(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        return read_whole(self._target, path, max_bytes)

    def read_text(self, path: str) -> str:
        return read_text(self._target, path)

    def read_json(self, path: str) -> Any:
        return read_json(self._target, path)

    def find(self, pattern: str) -> list[FileInfo]:
        """What a glob matches, sorted by path."""
        return self._target.find(pattern)

    def run(
        self, *command: str, timeout: float = 30.0, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> CommandResult:
        """Run a command in the workspace, with the workspace's environment; `timeout` in seconds."""
        return self._target.run(command, timeout_s=timeout, env=env, stdin=stdin.encode())


class ServiceClient:
    """A service of the session. Answers are httpx responses, their `elapsed` measured to the end of the body."""

    def __init__(self, target: Target, name: str, port: str | None) -> None:
        self._target, self._name, self._port = target, name, port

    @property
    def url(self) -> str:
        """Base URL as this process reaches it."""
        return self._target.url(self._name, self._port)

    @property
    def log(self) -> str:
        """The end of the service's log."""
        return self._target.logs(self._name)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, **arguments)

    def request(self, method: str, path: str, *, timeout: float = 30.0, **arguments: Any) -> httpx.Response:
        """One exchange; `arguments` are those of httpx.Request: params, headers, json, data, content, files."""
        asked = httpx.Request(method, f"http://{self._name}{path}", **arguments)
        headers = {name: value for name, value in asked.headers.items() if name not in ("host", "content-length")}
        response = self._target.request(
            Request(
                service=self._name,
                port=self._port,
                path=asked.url.raw_path.decode(),
                method=method,
                headers=headers,
                body=asked.read() or None,
                timeout_s=timeout,
            )
        )
        answer = httpx.Response(response.status, headers=response.headers, content=response.body, request=asked)
        answer.elapsed = datetime.timedelta(seconds=response.duration_s)
        return answer


@pytest.fixture(scope="session")
def lab() -> Path:
    """The lab's folder."""
    return Path(_input()["lab"])


@pytest.fixture(scope="session")
def parameters() -> Mapping[str, Any]:
    """What the lab file gives the check as `parameters`."""
    given: Mapping[str, Any] = _input()["parameters"]
    return given


@pytest.fixture(scope="session")
def workspace() -> Workspace:
    """The learner's workspace."""
    return Workspace(_target())


@pytest.fixture(scope="session")
def service() -> Callable[..., ServiceClient]:
    """A function from a service's name (and `port`, its first one when left out) to a client for it."""

    def client(name: str, port: str | None = None) -> ServiceClient:
        return ServiceClient(_target(), name, port)

    return client


@pytest.fixture(scope="session")
def chat() -> Callable[..., Reply]:
    """A function that asks a model: chat(prompt or messages, service=…, model=…) → Reply with text, tokens, latency_s."""

    def ask(
        prompt: str | Sequence[Mapping[str, str]],
        *,
        service: str,
        model: str,
        port: str | None = None,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        **body: Any,
    ) -> Reply:
        endpoint = Endpoint(service=service, port=port, path=path, headers=headers or {})
        body = {"temperature": 0, "max_tokens": 128, **body}
        return endpoint.ask(_target(), model, as_messages(prompt), timeout_s=timeout, **body)

    return ask


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    test = item.nodeid.partition("::")[2]
    record = _records.setdefault(test, {"test": test, "outcome": "pass", "message": ""})
    if call.excinfo is not None and report.outcome != "passed" and record["outcome"] == "pass":
        could_not_look = report.skipped or call.excinfo.errisinstance((CannotLook, pytest.FixtureLookupError))
        record.update(outcome="error" if could_not_look else "fail", message=_message(item, call.excinfo))
    return report


def pytest_sessionfinish() -> None:
    """Beside and then in place: a script that ends in the middle leaves no record, rather than half of one."""
    folder = _folder()
    (folder / "results.json.part").write_text(json.dumps(list(_records.values())))
    (folder / "results.json.part").replace(folder / "results.json")


def _message(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """The error's own words; without any, what the test's docstring says it looks for, else the line that failed."""
    text = str(excinfo.value).strip()
    if text and isinstance(excinfo.value, _SPEAK_FOR_THEMSELVES):
        return text[:1000]
    purpose = (getattr(getattr(item, "obj", None), "__doc__", None) or "").strip().partition("\n")[0]
    if isinstance(excinfo.value, AssertionError):
        return purpose or str(excinfo.traceback[-1].statement).strip()[:1000]
    name = f"{type(excinfo.value).__name__}: {text}"[:1000]
    return f"{purpose} ({name})" if purpose else name


@lru_cache(maxsize=1)
def _target() -> Target:
    return connect(TargetSpec(**_input()["target"]))


@lru_cache(maxsize=1)
def _input() -> dict[str, Any]:
    known: dict[str, Any] = json.loads((_folder() / "input.json").read_text())
    return known


def _folder() -> Path:
    return Path(os.environ[FOLDER])
