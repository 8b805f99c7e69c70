"""Events that a real run of tests/integration/hosts/course has sent, as what is seen of its four hosts.

`two` has a fault; behind `three` is no ssh server, behind `four` no container. A failure is ignored, another one rescued.
"""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from labctl.hosts.events import after, line_of
from labctl.hosts.seen import Seen, State

EVENTS: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("four-hosts.jsonl").read_text().splitlines()
]


def until(task: str, kind: str, host: str) -> Seen:
    """What is seen up to the event of this kind."""
    for number, event in enumerate(EVENTS):
        data = event["event_data"]
        if (event["event"], data.get("task"), data.get("host")) == (kind, task, host):
            return reduce(after, EVENTS[: number + 1], Seen())
    raise AssertionError(f"no {kind} of {task} on {host} is recorded")


@pytest.fixture
def seen() -> Seen:
    return reduce(after, EVENTS, Seen())


def test_each_role_stands_on_each_host_as_it_ended(seen: Seen) -> None:
    assert seen.over
    roles = ("facts", "base", "tolerant", "rescued", "failing", "waiting", "closing")
    assert seen.roles == roles
    assert [seen.state("one", role) for role in roles] == ["ok", "changed", "ok", "ok", "ok", "ok", "changed"]
    assert [seen.state("two", role) for role in roles] == [
        *("ok", "changed", "ok", "ok", "failed", "waiting", "waiting")
    ]


def test_hosts_that_cannot_be_reached_are_told_from_those_that_failed(seen: Seen) -> None:
    assert seen.named(State.UNREACHABLE) == ("three", "four")
    assert seen.named(State.FAILED) == ("two",)
    assert "Connection refused" in seen.hosts["three"].troubles[0].message


def test_a_failure_comes_with_its_message_and_place(seen: Seen) -> None:
    (trouble,) = seen.hosts["two"].troubles
    assert trouble.message == "There is a fault in /root/fault.txt"
    assert trouble.place == "/playbooks/roles/failing/tasks/main.yml:6"


def test_what_was_ignored_or_rescued_is_no_failure(seen: Seen) -> None:
    forgiven = [each.task for part in seen.hosts["one"].parts.values() for each in part.forgiven]
    assert forgiven == ["Try what may fail", "Fail at first"]
    assert seen.hosts["one"].state is State.CHANGED


def test_a_host_shows_its_task_while_it_is_under_way() -> None:
    seen = until("Look for the fault", "runner_on_start", "two")
    assert (seen.hosts["two"].role, seen.hosts["two"].task) == ("failing", "Look for the fault")
    assert seen.state("two", "failing") is State.RUNNING
    assert seen.state("two", "rescued") is State.OK
    assert seen.state("two", "closing") is State.WAITING


def test_a_failed_role_is_failed_before_the_run_is_over() -> None:
    seen = until("Stumble over it", "runner_on_failed", "two")
    assert seen.state("two", "failing") is State.FAILED


def test_a_lost_host_that_runs_handlers_of_another_role_stays_lost() -> None:
    before = until("Stumble over it", "runner_on_failed", "two")
    handler = {"event": "runner_on_start", "event_data": {"host": "two", "role": "base", "task": "Restart it"}}
    done = {**handler, "event": "runner_on_ok"}
    end = {"event": "playbook_on_stats", "event_data": {"failures": {"two": 1}}}
    seen = reduce(after, [handler, done, end], before)
    assert seen.state("two", "failing") is State.FAILED


def test_a_retry_says_how_often_it_has_tried() -> None:
    begun = {"event": "runner_on_start", "event_data": {"host": "a", "role": "docker", "task": "Wait for apt"}}
    again = {**begun, "event": "runner_retry"}
    again["event_data"] = {**again["event_data"], "res": {"attempts": 2, "retries": 5}}  # type: ignore[dict-item]
    assert reduce(after, [begun, again], Seen()).hosts["a"].note == "attempt 2 of 5"


def test_programs_get_what_each_task_came_to() -> None:
    lines = [line for event in EVENTS if (line := line_of(event))]
    states = {(line["host"], line["task"]): line["state"] for line in lines}
    assert states["one", "Write down that the base is there"] == "changed"
    assert states["one", "Try what may fail"] == "ignored"
    assert states["two", "Stumble over it"] == "failed"
    assert states["three", "Gathering Facts"] == "unreachable"
    assert line_of({"event": "playbook_on_play_start", "event_data": {}}) is None


def test_what_ansible_says_before_it_begins_is_kept() -> None:
    seen = reduce(after, [{"event": "verbose", "stdout": "a\n\n"}, {"event": "verbose", "stdout": "b"}], Seen())
    assert seen.said == ("a", "b")
