"""A pod whose node is gone, as the API tells of it: one line says so, and nothing waits for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from labctl.runtimes.kubernetes.seen import seen, words_of_loss

DELETED = datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)


def lost(**status: Any) -> dict[str, Any]:
    """What `kubectl get pod -o json` shows some minutes after its node fell silent: deleted, and still there."""
    return {
        "metadata": {
            "name": "web-5c7d-x2x4z",
            "namespace": "lab--ada",
            "uid": "7d3f",
            "creationTimestamp": "2026-11-23T03:00:00Z",
            "deletionTimestamp": "2026-11-23T04:00:30Z",
            "deletionGracePeriodSeconds": 30,
            "labels": {"labctl.service": "web", "labctl.role": "service"},
        },
        "spec": {"nodeName": "gpu-7", "containers": [{"name": "web"}]},
        "status": {
            "phase": "Running",
            "reason": "NodeLost",
            "message": "Node gpu-7 which was running pod web-5c7d-x2x4z is unresponsive",
            "conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeLost"}],
            "containerStatuses": [
                {"name": "web", "ready": True, "state": {"running": {"startedAt": "2026-11-23T03:00:05Z"}}}
            ],
            **status,
        },
    }


def test_a_pod_whose_node_is_gone_is_lost_once_its_time_to_end_is_over() -> None:
    pod = seen(lost())
    assert not pod.ready
    assert not pod.has_ended
    assert not pod.is_lost(DELETED + timedelta(seconds=10))
    assert pod.is_lost(DELETED + timedelta(seconds=31))
    assert words_of_loss(pod) == "its pod does not end: node gpu-7 does not say that its processes are gone"


def test_a_pod_that_has_ended_and_is_only_tidied_up_is_not_lost() -> None:
    ended = {"name": "web", "ready": False, "state": {"terminated": {"exitCode": 0}}}
    assert not seen(lost(containerStatuses=[ended])).is_lost(DELETED + timedelta(hours=1))
