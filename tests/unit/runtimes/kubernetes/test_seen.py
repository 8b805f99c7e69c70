"""What a learner is told of a pod. `pods.json` has pods as Kubernetes 1.20 told of them, cut down to what matters."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labctl.runtimes.kubernetes.seen import (
    Seen,
    event_words,
    liveliest,
    seen,
    words_of_end,
    words_of_waiting,
)

PODS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("pods.json").read_text())


def pod(name: str, **metadata: str) -> Seen:
    """What is seen of a pod of pods.json, with other metadata."""
    found = deepcopy(PODS[name])
    found["metadata"].update(metadata)
    return seen(found)


@pytest.mark.parametrize(
    ("name", "ready", "running", "is_over", "exit_code"),
    [
        ("ready", True, True, False, None),
        ("unready", False, True, False, None),
        ("done", False, False, True, 0),
        ("failed", False, False, True, 3),
        ("killed", False, False, True, 137),
        ("crashing", False, False, False, 2),
        ("far", False, False, False, None),
        ("secretless", False, False, False, None),
    ],
)
def test_whether_it_runs_is_told(name: str, ready: bool, running: bool, is_over: bool, exit_code: int | None) -> None:
    found = pod(name)
    assert (found.ready, found.running, found.is_over, found.exit_code) == (ready, running, is_over, exit_code)
    assert (found.started_at is not None) == running


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failed", "ended with exit code 3"),
        ("killed", "was killed: it wanted more memory than it may have"),
        ("evicted", 'was taken off its node: Usage of EmptyDir volume "v" exceeds the limit "8Mi".'),
        ("crashing", "ended with exit code 2"),
    ],
)
def test_how_it_ended_is_said(name: str, words: str) -> None:
    assert words_of_end(pod(name)) == words


def test_the_last_that_it_said_is_kept_of_what_failed() -> None:
    assert pod("failed").said == "no such model"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("far", "no node has the GPU that the lab asks for"),
        ("gpuless", "1 Insufficient nvidia.com/gpu; no node has a free GPU"),
        ("crowded", "1 Insufficient memory; the nodes are full"),
        ("imageless", 'cannot be had: Back-off pulling image "labctl/trainer:gpu-'),
        ("badname", "its image UPPER/Case:1 cannot be had: invalid reference format"),
        ("secretless", 'its container cannot be made: secret "session-secrets" not found'),
        ("crashing", "it ended with exit code 2, and is tried again"),
    ],
)
def test_what_it_waits_for_is_said(name: str, words: str) -> None:
    assert words in words_of_waiting(pod(name))


@pytest.mark.parametrize("name", ["ready", "unready", "done", "failed"])
def test_what_runs_or_has_ended_waits_for_nothing(name: str) -> None:
    assert words_of_waiting(pod(name)) == ""


@pytest.mark.parametrize(
    ("name", "is_hopeless"),
    [("badname", True), ("secretless", True), ("imageless", False), ("crashing", False), ("gpuless", False)],
)
def test_only_what_cannot_come_by_itself_is_given_up(name: str, is_hopeless: bool) -> None:
    assert pod(name).is_hopeless is is_hopeless


def test_an_image_that_the_registry_refuses_is_hopeless_and_one_that_is_not_reached_is_not() -> None:
    waits = deepcopy(PODS["badname"])
    state = waits["status"]["containerStatuses"][0]["state"]["waiting"]
    state.update(reason="ErrImagePull", message="dial tcp 10.0.0.1:5000: i/o timeout")
    assert seen(waits).is_hopeless is False
    state["message"] = "pull access denied, repository does not exist or may require authorization"
    assert seen(waits).is_hopeless is True


def test_an_init_container_that_waits_is_named() -> None:
    assert pod("imageless").waiting_container == "starter-files"
    assert pod("secretless").waiting_container == ""


def test_a_pod_of_which_the_cluster_says_nothing_yet_is_pending() -> None:
    new = {key: value for key, value in PODS["ready"].items() if key == "metadata"}
    found = seen(new)
    assert (found.phase, found.running, found.ready, words_of_waiting(found)) == ("Pending", False, False, "")


def test_of_two_pods_of_a_part_the_newer_that_is_not_ending_stands_for_it() -> None:
    old = pod("ready", uid="old", creationTimestamp="2026-01-01T00:00:00Z")
    new = pod("ready", uid="new", creationTimestamp="2026-01-01T00:01:00Z")
    ending = pod("ready", uid="x", creationTimestamp="2026-01-01T00:02:00Z", deletionTimestamp="2026-01-01T00:03:00Z")
    assert liveliest([new, ending, old])["ready"].uid == "new"
    assert liveliest([ending])["ready"].uid == "x"


def test_one_that_is_ending_has_ended_when_none_of_its_processes_is_left() -> None:
    assert pod("failed", deletionTimestamp="2026-01-01T00:00:00Z").has_ended
    assert not pod("ready", deletionTimestamp="2026-01-01T00:00:00Z").has_ended
    assert not pod("failed").has_ended


def test_times_are_utc() -> None:
    assert pod("ready", creationTimestamp="2026-01-02T03:04:05Z").created_at == datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=UTC
    )


def event(message: str, at: str, kind: str = "Warning") -> dict[str, Any]:
    return {"type": kind, "message": message, "lastTimestamp": at, "metadata": {}}


def test_of_events_the_newest_warning_is_told() -> None:
    events = [
        event("Readiness probe failed: dial tcp 10.0.0.1:80: connect: connection refused", "2026-01-01T00:00:02Z"),
        event("Back-off restarting failed container", "2026-01-01T00:00:01Z"),
        event("Started container", "2026-01-01T00:00:03Z", "Normal"),
    ]
    assert event_words(events) == "nothing accepts connections on its port"
    assert event_words(events[2:]) == event_words([]) == ""


def test_an_event_of_a_newer_api_has_its_time_elsewhere() -> None:
    newer = {"type": "Warning", "message": "new", "eventTime": "2026-01-01T00:00:09.000000Z", "metadata": {}}
    assert event_words([newer, event("old", "2026-01-01T00:00:01Z")]) == "new"


def test_a_quota_that_keeps_a_pod_away_is_named() -> None:
    message = 'Error creating: pods "web-x" is forbidden: exceeded quota: session, requested: pods=1, used: pods=6, limited: pods=6'
    assert event_words([event(message, "2026-01-01T00:00:01Z")]).startswith("the quota `session` of its namespace")
