"""requests.log: one line a request, with its id and what happened, without what was said."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

FIELDS = ("time", "id", "method", "path", "status", "latency_ms")


def test_one_line_for_each_request(api: Any) -> None:
    requests = [
        ("POST", "/analyze", {"text": "A friendly guide and a great day."}),
        ("POST", "/analyze", {"text": ""}),
        ("GET", "/analyze", None),
        ("GET", f"/no-such-path-{uuid.uuid4().hex[:6]}", None),
    ]
    answers = [(method, path, api.send(method, path, body)) for method, path, body in requests]
    ids = [request_id(answer, f"{method} {path}") for method, path, answer in answers]
    assert len(set(ids)) == len(ids), "two requests got the same x-request-id"
    for (method, path, answer), id in zip(answers, ids, strict=True):
        lines = api.logged(id)
        assert len(lines) == 1, f"{method} {path}: {len(lines)} lines of requests.log have the id {id}; wanted 1"
        line_tells(lines[0], method=method, path=path, status=answer.status_code)


def test_secret_is_in_no_log(api: Any) -> None:
    word = f"marigold{uuid.uuid4().hex[:8]}"
    bodies = [{"text": f"I like {word}."}, {"text": f"{word} " * 200}, {"text": [word]}, f"text={word}"]
    for body in bodies:
        answer = api.send("POST", "/analyze", body)
        api.logged(request_id(answer, "POST /analyze"))
    assert word not in api.file("requests.log"), "a word of a text that was sent stands in requests.log"
    assert word not in api.printed(), "a word of a text that was sent stands in what the service prints"


def request_id(answer: Any, asked: str) -> str:
    id = answer.headers.get("x-request-id")
    assert id, f"{asked} ({answer.status_code}) has no header x-request-id"
    return str(id)


def line_tells(line: dict[str, Any], *, method: str, path: str, status: int) -> None:
    missing = [name for name in FIELDS if name not in line]
    assert not missing, f"{method} {path}: its line in requests.log has no {', '.join(missing)}"
    seen = (line["method"], line["path"], line["status"])
    assert seen == (method, path, status), f"its line says {seen}; it was {(method, path, status)}"
    latency = line["latency_ms"]
    assert isinstance(latency, int | float), f"latency_ms is {latency!r}; wanted a number of milliseconds"
    assert latency >= 0, f"latency_ms is {latency!r}; wanted milliseconds"
    try:
        datetime.fromisoformat(line["time"])
    except (TypeError, ValueError):
        raise AssertionError(f"time is {line['time']!r}; wanted ISO 8601, like 2026-05-04T09:30:00+00:00") from None
