"""`api`: the learner's API and the traces it leaves, as the tests of this folder ask for them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest


class Api:
    """Asks the service `api`, and reads its log, requests.log and other files of the workspace."""

    def __init__(self, service: Any, workspace: Any) -> None:
        self._service = service
        self._workspace = workspace

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request whose body is a JSON value, or text sent as if it were JSON."""
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        return self._service.request(method, path, content=content, headers={"content-type": "application/json"})

    def analyze(self, text: str) -> dict[str, Any]:
        status, answer = self.post("/analyze", {"text": text})
        assert status == 200, f"POST /analyze with {text!r} answered {status}; wanted 200"
        wanted = isinstance(answer, dict) and {"label", "score"} <= set(answer)
        assert wanted, f"POST /analyze answered {str(answer)[:200]}; wanted label and score"
        return answer

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        answer = self.send("POST", path, body)
        return answer.status, self.json(answer)

    def json(self, answer: Any) -> Any:
        try:
            return json.loads(answer.text)
        except ValueError:
            raise AssertionError(f"the answer is no JSON: {answer.text[:200]!r}") from None

    def seconds(self, text: str) -> float:
        """How long one request to /analyze takes."""
        started = time.monotonic()
        self.analyze(text)
        return time.monotonic() - started

    def file(self, path: str) -> str:
        """A text file of the workspace."""
        try:
            return self._workspace.read(path)
        except FileNotFoundError:
            raise AssertionError(f"there is no file {path} in the workspace") from None

    def log(self) -> str:
        return self.file("requests.log")

    def logged(self, id: str, limit_s: float = 3.0) -> list[dict[str, Any]]:
        """The lines of requests.log with this id; they may come a moment after the answer."""
        deadline = time.monotonic() + limit_s
        while not (found := self._lines(id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found or self._lines_of(self.log(), id)

    def printed(self) -> str:
        """What the service printed."""
        return self._service.logs()

    def _lines(self, id: str) -> list[dict[str, Any]]:
        try:
            return self._lines_of(self._workspace.read("requests.log"), id)
        except FileNotFoundError:
            return []

    def _lines_of(self, log: str, id: str) -> list[dict[str, Any]]:
        found = []
        for number, line in enumerate(log.splitlines(), start=1):
            if id in line:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    raise AssertionError(f"line {number} of requests.log is no JSON: {line[:200]}") from None
        return [line for line in found if isinstance(line, dict) and line.get("id") == id]


@pytest.fixture
def api(service: Any, workspace: Any) -> Api:
    return Api(service("api"), workspace)
