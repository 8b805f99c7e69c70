"""curl/*.txt: answers of the API as `curl -i` shows them, true today and to be found in the log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

LONG = "long " * 500
WANTED = {
    "analyze": ("POST", "/analyze", {"text": "A friendly guide and a great day."}, (200,)),
    "empty": ("POST", "/analyze", {"text": ""}, (422,)),
    "too-long": ("POST", "/analyze", {"text": LONG}, (413, 422)),
    "wrong-method": ("GET", "/analyze", None, (405,)),
    "unknown-path": ("GET", "/analyse", None, (404,)),
}


@dataclass(frozen=True)
class Transcript:
    status: int
    headers: dict[str, str]
    body: str


@pytest.mark.parametrize("name", WANTED)
def test_agrees_with_the_api(api: Any, name: str) -> None:
    method, path, body, statuses = WANTED[name]
    saved = read(api, name)
    accepted = " or ".join(map(str, statuses))
    assert saved.status in statuses, f"curl/{name}.txt has status {saved.status}; wanted {accepted}"
    now = api.send(method, path, body)
    assert now.status_code == saved.status, (
        f"curl/{name}.txt has status {saved.status}; the API now gives {now.status_code}"
    )
    kinds = [media_type(saved.headers), media_type(now.headers)]
    assert kinds[0] == kinds[1] == "application/json", (
        f"curl/{name}.txt has content type {kinds[0]}, the API now gives {kinds[1]}; wanted application/json"
    )
    try:
        json.loads(saved.body)
    except ValueError:
        raise AssertionError(f"curl/{name}.txt: what stands after the empty line is no JSON") from None


class TestTraced:
    @pytest.mark.parametrize("name", WANTED)
    def test_stands_in_the_log(self, api: Any, name: str) -> None:
        method, path, _, _ = WANTED[name]
        saved = read(api, name)
        id = saved.headers.get("x-request-id")
        assert id, f"curl/{name}.txt has no header x-request-id"
        lines = api.logged(id, limit_s=0)
        assert lines, f"no line of requests.log has the id {id} of curl/{name}.txt"
        seen = tuple(lines[0].get(field) for field in ("status", "method", "path"))
        asked = seen[1:] if name == "unknown-path" else (method, path)  # which unknown path is the learner's choice
        wanted = (saved.status, *asked)
        assert seen == wanted, f"curl/{name}.txt is {wanted}; requests.log says {seen} of this id"

    def test_is_a_request_of_its_own(self, api: Any) -> None:
        ids = {name: read(api, name).headers.get("x-request-id") for name in WANTED}
        assert len(set(ids.values())) == len(ids), f"files in curl/ share an x-request-id: {ids}"


def read(api: Any, name: str) -> Transcript:
    """The last answer in the file: what stands before a status line (a prompt, the command) is skipped."""
    lines = [line.rstrip("\r") for line in api.file(f"curl/{name}.txt").split("\n")]
    starts = [index for index, line in enumerate(lines) if line.startswith("HTTP/")]
    assert starts, f"curl/{name}.txt has no status line such as `HTTP/1.1 200 OK`; use curl -i"
    answer = lines[starts[-1] :]
    end = answer.index("") if "" in answer else len(answer)
    status = answer[0].split()[1:2]
    assert "".join(status).isdigit(), f"curl/{name}.txt: {answer[0]!r} is no status line"
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in answer[1:end])}
    return Transcript(int(status[0]), headers, "\n".join(answer[end:]))


def media_type(headers: Any) -> str:
    return str(headers.get("content-type", "none")).partition(";")[0].strip()
