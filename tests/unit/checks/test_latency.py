"""The check `latency`: the arithmetic and contention with prepared times, the rest against a real HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labctl.checks.base import Unmet
from labctl.checks.contention import Machine, Reading
from labctl.checks.latency import LatencyCheck
from labctl.checks.streaming import _text
from labctl.grading.attempts import observe
from labctl.outcomes import Outcome
from labctl.runtimes.exchange import NoAnswer
from labctl.runtimes.exchange import answer as exchanged
from labctl.target import CannotLook, Request, Response, Unreachable
from labctl.testing.target import FakeTarget, answer

LatencyOf = Callable[..., LatencyCheck]
QUIET = Reading(busy=0.05, stretch=1.0)
BUSY = Reading(busy=0.9, stretch=1.8)


@pytest.fixture
def latency(check_of: Callable[..., Any]) -> LatencyOf:
    def make(**settings: Any) -> LatencyCheck:
        check = check_of("latency", **{"service": "api", "requests": 4, "repeats": 2, **settings})
        assert isinstance(check, LatencyCheck)
        return check

    return make


@dataclass
class Readings:
    """A meter that reads what it is told, the last of it for ever."""

    readings: list[Reading]
    taken: int = 0

    def read(self) -> Reading:
        self.taken += 1
        return self.readings[min(self.taken, len(self.readings)) - 1]


def timed(folder: Path, *seconds: float, other: float = 0.1) -> tuple[FakeTarget, list[str]]:
    """A service whose answers take these times in turn, another that always takes `other`; and who was asked when."""
    asked: list[str] = []

    def api(request: Request) -> Response:
        asked.append("api")
        return answer({}, duration_s=seconds[min(asked.count("api"), len(seconds)) - 1])

    def peer(request: Request) -> Response:
        asked.append("peer")
        return answer({}, duration_s=other)

    return FakeTarget(folder=folder, answers={("api", "GET", "/"): api, ("peer", "GET", "/"): peer}), asked


def test_the_best_repeat_counts(tmp_path: Path, latency: LatencyOf) -> None:
    target, asked = timed(tmp_path, 0.9, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3)
    result = latency(value={"le": 0.3}).measured(target, Readings([QUIET]))
    assert (result.outcome, len(asked)) == (Outcome.PASS, 8)
    assert result.message == "p95 of api's answers is 0.3 s"
    assert result.actual == {"p_s": [[0.9], [0.3]], "contended": False}
    median = latency(value={"le": 0.1}, percentile=50).measured(
        timed(tmp_path, 0.9, 0.1, 0.1, 0.1)[0], Readings([QUIET])
    )
    assert median.outcome is Outcome.PASS


def test_a_limit_that_is_missed_on_a_quiet_machine_fails(tmp_path: Path, latency: LatencyOf) -> None:
    target, asked = timed(tmp_path, 0.5)
    result = latency(value={"le": 0.3}, tolerance=0.1).measured(target, Readings([QUIET]))
    assert (result.outcome, len(asked)) == (Outcome.FAIL, 8)
    assert result.message == "p95 of api's answers is 0.5 s; wanted <= 0.33 s (with 10% of tolerance)"
    assert latency(value={"le": 0.3}, tolerance=0.7).measured(target, Readings([QUIET])).outcome is Outcome.PASS


def test_a_limit_that_is_missed_on_a_contended_machine_says_nothing(tmp_path: Path, latency: LatencyOf) -> None:
    target, _ = timed(tmp_path, 0.5)
    with pytest.raises(CannotLook, match=r"the machine was contended .90% of its CPU time in use by others.*0.5 s"):
        latency(value={"le": 0.3}, timeout="2s").measured(target, Readings([BUSY]))


def test_what_holds_on_a_contended_machine_holds(tmp_path: Path, latency: LatencyOf) -> None:
    result = latency(value={"le": 0.3}).measured(timed(tmp_path, 0.2)[0], Readings([BUSY]))
    assert (result.outcome, result.actual["contended"]) == (Outcome.PASS, True)


def test_more_repeats_are_made_until_the_machine_is_quiet(tmp_path: Path, latency: LatencyOf) -> None:
    target, asked = timed(tmp_path, *[0.9] * 16, 0.2)
    result = latency(value={"le": 0.3}, repeats=1).measured(target, Readings([BUSY]))
    assert (result.outcome, len(asked)) == (Outcome.PASS, 20)
    slow, asked = timed(tmp_path, 0.9)
    readings = Readings([BUSY, BUSY, BUSY, QUIET])
    assert latency(value={"le": 0.3}, repeats=1).measured(slow, readings).outcome is Outcome.FAIL
    assert (len(asked), readings.taken) == (16, 5)  # quiet before a repeat and after it


def test_one_quiet_repeat_among_contended_ones_is_judged(tmp_path: Path, latency: LatencyOf) -> None:
    target, _ = timed(tmp_path, 0.5)
    readings = Readings([BUSY, BUSY, QUIET, QUIET])
    assert latency(value={"le": 0.3}, repeats=3).measured(target, readings).outcome is Outcome.FAIL


def test_another_endpoint_is_measured_in_turns(tmp_path: Path, latency: LatencyOf) -> None:
    target, asked = timed(tmp_path, 0.05, other=0.1)
    check = latency(against={"service": "peer"}, ratio={"le": 0.6}, requests=3, concurrency=2, repeats=1)
    result = check.measured(target, Readings([QUIET]))
    assert (result.outcome, result.message) == (Outcome.PASS, "p95 of api's answers is 0.05 s, 0.5 times that of peer")
    assert asked == ["api", "api", "peer", "peer", "api", "peer"]
    slow = latency(against={"service": "peer"}, ratio={"le": 0.6}, repeats=1).measured(
        timed(tmp_path, 0.09)[0], Readings([QUIET])
    )
    assert (slow.outcome, "wanted a ratio <= 0.6" in slow.message) == (Outcome.FAIL, True)


def test_an_answer_that_is_none_fails_at_once(tmp_path: Path, latency: LatencyOf) -> None:
    target = FakeTarget(folder=tmp_path, answers={("api", "GET", "/"): answer({}, status=503)})
    assert observe(latency(value={"le": 9}), target).message == "GET / answered 503; wanted 200: {}"
    nobody = FakeTarget(folder=tmp_path, learner_services=frozenset({"api"}))
    assert observe(latency(value={"le": 9}), nobody).outcome is Outcome.FAIL
    assert observe(latency(value={"le": 9}, service="lab"), nobody).outcome is Outcome.ERROR


def test_time_that_is_over_is_a_failure_unless_the_machine_was_contended(tmp_path: Path, latency: LatencyOf) -> None:
    def slow(request: Request) -> Response:
        time.sleep(0.05)
        return answer({})

    target = FakeTarget(folder=tmp_path, answers={("api", "GET", "/"): slow})
    check = latency(value={"le": 9}, requests=1000, timeout=0.2)
    with pytest.raises(Unmet, match=r"1000 requests at api took more than the 0\.2s they may take"):
        check.measured(target, Readings([QUIET]))
    with pytest.raises(CannotLook, match="contended"):
        check.measured(target, Readings([BUSY]))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "say what must hold"),
        ({"ratio": {"le": 1}}, "against and ratio go together"),
        ({"against": {"service": "b"}, "value": {"le": 1}}, "against and ratio go together"),
        ({"value": {"le": 1}, "of": "ttft"}, "give chat"),
        ({"value": {"le": 1}, "percentile": 0}, "percentile"),
        ({"value": {"le": 1}, "concurrency": 1000}, "concurrency"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(latency: LatencyOf, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        latency(**settings)


@settings(deadline=None)
@given(line=st.binary(max_size=80) | st.text(max_size=40).map(lambda text: f"data: {text}".encode()))
def test_whatever_a_stream_holds_is_text_or_nothing(line: bytes) -> None:
    assert isinstance(_text(line), str)


@pytest.mark.parametrize("delta", [{}, None, {"content": None}, {"content": 5}, [], "x"])
def test_an_event_of_another_form_adds_nothing(delta: Any) -> None:
    assert _text(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode()) == ""


SERVER = """\
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep({"/slow": 0.2}.get(urlsplit(self.path).path, 0.0))
        self.answer(b"{}", "application/json")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = asked["model"]
        if model == "absent":
            self.send_error(404, "no such model")
        elif not asked.get("stream"):
            said = {"choices": [{"message": {"content": "Hello there"}}]}
            self.answer(json.dumps(said).encode(), "application/json")
        else:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.stream(model)

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, model):
        self.event({"role": "assistant"})
        time.sleep(0.2)
        if model == "breaks":
            self.connection.close()
            return
        if model == "drips":
            for _ in range(1000):
                self.wfile.write(b": wait\\n\\n")
                time.sleep(0.05)
        if model != "silent":
            self.event({"content": "Hello"})
            time.sleep({"long": 2.0}.get(model, 0.0))
            self.event({"content": " there"})
        self.wfile.write(b"data: [DONE]\\n\\n")

    def event(self, delta):
        self.wfile.write(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\\n\\n")

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(FakeTarget):
    """A session whose services are real: their ports on this host."""

    ports: dict[str, int] = field(default_factory=dict)

    def request(self, request: Request) -> Response:
        try:
            return exchanged(self.ports[request.service], request)
        except NoAnswer as error:
            raise (Unreachable if request.service in self.learner_services else CannotLook)(str(error)) from error

    def url(self, service: str, port: str | None = None) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def served(server: int, tmp_path: Path) -> Served:
    ports = {"api": server, "lab": server, "gone": 1, "labs-gone": 1}
    return Served(folder=tmp_path, ports=ports, learner_services=frozenset({"api", "gone"}))


def streaming(model: str = "m", **settings: Any) -> dict[str, Any]:
    return {"of": "ttft", "chat": {"model": model, "prompt": "Hi"}, "value": {"ge": 0.2, "le": 60}, **settings}


def test_a_slow_endpoint_is_slower_than_a_fast_one(served: Served, latency: LatencyOf) -> None:
    check = latency(
        path="/slow?n=$input", against={"service": "lab", "path": "/fast"}, ratio={"ge": 1.5}, value={"ge": 0.2}
    )
    result = check.measured(served, Readings([QUIET]))
    assert result.outcome is Outcome.PASS, result.message


def test_requests_are_sent_at_the_same_time(served: Served, latency: LatencyOf) -> None:
    started = time.monotonic()
    check = latency(path="/slow", requests=32, concurrency=32, repeats=1, value={"ge": 0.2})
    assert check.measured(served, Readings([QUIET])).outcome is Outcome.PASS
    assert time.monotonic() - started < 32 * 0.2


def test_a_completion_is_timed_whole(served: Served, latency: LatencyOf) -> None:
    check = latency(chat={"model": "m"}, value={"le": 60})
    assert check.measured(served, Readings([QUIET])).outcome is Outcome.PASS


def test_the_first_token_is_timed_not_the_first_event_nor_the_end(served: Served, latency: LatencyOf) -> None:
    check = latency(**streaming("long", requests=1, value={"ge": 0.2, "lt": 2.2}))
    result = check.measured(served, Readings([QUIET]))
    assert result.outcome is Outcome.PASS, result.message


@pytest.mark.parametrize(
    ("service", "model", "outcome", "why"),
    [
        ("api", "silent", "fail", "streamed no text"),
        ("lab", "silent", "fail", "streamed no text"),
        ("api", "absent", "fail", "with stream: true answered 404; wanted 200"),
        ("gone", "m", "fail", "Connection refused"),
        ("labs-gone", "m", "error", "Connection refused"),
    ],
)
def test_a_stream_that_is_none_is_judged_by_whose_service_it_is(
    served: Served, latency: LatencyOf, service: str, model: str, outcome: str, why: str
) -> None:
    result = observe(latency(**streaming(model, service=service, requests=1)), served)
    assert (str(result.outcome), why in result.message) == (outcome, True), result.message


def test_a_stream_that_never_ends_is_given_up_in_time(served: Served, latency: LatencyOf) -> None:
    started = time.monotonic()
    check = latency(**streaming("drips", timeout=1, requests=1, repeats=1))
    with pytest.raises(Unmet, match="took more than the 1s"):
        check.measured(served, Readings([QUIET]))
    assert time.monotonic() - started < 20


def test_this_machine_is_asked_whether_it_is_contended(served: Served, latency: LatencyOf) -> None:
    """Whether it is, the others on it decide: what is met passes all the same, and what is missed never does."""
    assert observe(latency(path="/fast", value={"le": 60}), served).outcome is Outcome.PASS
    missed = observe(latency(path="/fast", value={"le": 1e-9}, repeats=1, timeout=3), served)
    contended = "the machine was contended" in missed.message
    assert missed.outcome is (Outcome.ERROR if contended else Outcome.FAIL), missed.message


def test_a_busy_machine_is_told_from_a_quiet_one() -> None:
    """As far as a test can: a machine full of busy processes reads as contended; what quiet reads like, others decide."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        busy = Machine().read()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert not busy.quiet, busy
    assert "of its CPU time in use by others" in str(busy)
