"""`api`: the learner's API and the traces it leaves, as the tests of this folder ask for them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest


class Api:
    """Asks the service `api`, and reads what it printed, requests.log and other files of the workspace."""

    def __init__(self, service: Any, workspace: Any) -> None:
        self._service = service
        self._workspace = workspace

    def send(self, method: str, path: str, body: Any = None, *, timeout_s: float = 30) -> Any:
        """The answer to a request whose body is a JSON value, or text sent as if it were JSON."""
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"content-type": "application/json"}
        return self._service.request(method, path, content=content, headers=headers, timeout=timeout_s)

    def analyze(self, text: str) -> dict[str, Any]:
        """The label and score of a text."""
        return self._label_and_score(self.send("POST", "/analyze", {"text": text}))

    def seconds(self, text: str) -> float:
        """How long one request to /analyze takes."""
        answer = self.send("POST", "/analyze", {"text": text})
        self._label_and_score(answer)
        return answer.elapsed.total_seconds()

    def json(self, answer: Any) -> Any:
        try:
            return json.loads(answer.text)
        except ValueError:
            raise AssertionError(f"the answer is no JSON: {answer.text[:200]!r}") from None

    def file(self, path: str) -> str:
        """A text file of the workspace; the test fails when there is none."""
        return self._workspace.read_text(path)

    def logged(self, id: str, limit_s: float = 3.0) -> list[dict[str, Any]]:
        """The lines of requests.log with this id; they may come a moment after the answer."""
        deadline = time.monotonic() + limit_s
        while not (found := self._lines(id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def printed(self) -> str:
        """What the service printed."""
        return self._service.log

    def _label_and_score(self, answer: Any) -> dict[str, Any]:
        assert answer.status_code == 200, f"POST /analyze answered {answer.status_code}; wanted 200"
        values = self.json(answer)
        wanted = isinstance(values, dict) and {"label", "score"} <= set(values)
        assert wanted, f"POST /analyze answered {answer.text[:200]}; wanted label and score"
        return values

    def _lines(self, id: str) -> list[dict[str, Any]]:
        if not self._workspace.find("requests.log"):
            return []
        found = []
        for number, line in enumerate(self.file("requests.log").splitlines(), start=1):
            if id in line:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    raise AssertionError(f"line {number} of requests.log is no JSON: {line[:200]}") from None
        return [line for line in found if isinstance(line, dict) and line.get("id") == id]


@pytest.fixture(scope="session")
def api(service: Any, workspace: Any) -> Api:
    """Fails here, once for all tests, when the API does not answer at all (a mistake in app.py, a reload that hangs)."""
    api = Api(service("api"), workspace)
    api.send("GET", "/", timeout_s=8)
    return api
