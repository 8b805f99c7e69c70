"""Which sessions are reaped, and what is said of those that cannot be. The same on a cluster: tests/integration/kubernetes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.reaping import problems, reap
from labctl.runtimes.kubernetes.refusals import ApiError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PAST, LATER = "2026-11-23T11:00:00+00:00", "2026-11-23T13:00:00Z"


@dataclass
class Cluster(Api):
    """Answers as the API does about namespaces, and notes what it is asked to delete."""

    namespaces: list[dict[str, Any]] = field(default_factory=list)
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refuses: str = ""

    def items(self, kind: str, namespace: str | None = None, **query: Any) -> list[dict[str, Any]]:
        self.asked.append(query["labelSelector"])
        return {"Namespace": self.namespaces, "Pod": self.pods}.get(kind, [])

    def find(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        return self.fresh.get(name) or next(each for each in self.namespaces if each["metadata"]["name"] == name)

    def delete(self, path: str, *, grace_s: int | None = None, **query: Any) -> bool:
        if self.refuses and self.refuses in path:
            raise ApiError("the cluster refused: no", status=403)
        self.deleted.append(path)
        return True

    def merge(self, path: str, patch: Any) -> dict[str, Any]:
        self.deleted.append(f"marked {path}")
        return {}


def session(name: str, expires: str | None, **metadata: Any) -> dict[str, Any]:
    labels = {"labctl.session": f"lab--{name}", **metadata.pop("labels", {})}
    notes = {"annotations": {"labctl.expires": expires}} if expires else {}
    return {"metadata": {"name": name, "labels": labels, **notes, **metadata}, "status": metadata.pop("status", {})}


def test_only_what_has_expired_and_was_not_ended_is_due() -> None:
    ended = session("ended", PAST, labels={"labctl.ended": "true"})
    cluster = Cluster(namespaces=[session("late", PAST), session("early", LATER), session("endless", None), ended])
    found = reap(cluster, NOW, dry_run=True)
    assert [(each.namespace, each.session, each.what) for each in found] == [("late", "lab--late", "due")]
    assert cluster.deleted == []


def test_what_runs_ends_first_and_that_it_has_ended_is_marked_last() -> None:
    cluster = Cluster(namespaces=[session("late", PAST)])
    assert [each.what for each in reap(cluster, NOW)] == ["ended"]
    assert [path.rpartition("/")[2] for path in cluster.deleted] == [
        *("deployments", "jobs", "pods"),
        *("secrets", "configmaps"),
        "late",
    ]
    assert cluster.deleted[-1] == "marked /api/v1/namespaces/late"


def test_while_pods_are_stopping_nothing_is_taken_from_them_and_nothing_is_marked() -> None:
    cluster = Cluster(namespaces=[session("late", PAST)], pods=[{}])
    assert [each.what for each in reap(cluster, NOW)] == ["ending"]
    assert not [path for path in cluster.deleted if "secrets" in path or "marked" in path]


def test_one_that_was_extended_meanwhile_is_left_alone() -> None:
    cluster = Cluster(namespaces=[session("late", PAST)], fresh={"late": session("late", LATER)})
    assert reap(cluster, NOW) == []
    assert cluster.deleted == []


def test_one_that_cannot_be_ended_keeps_no_other_from_it() -> None:
    cluster = Cluster(namespaces=[session("stuck", PAST), session("late", PAST)], refuses="/stuck/")
    found = reap(cluster, NOW)
    assert {each.namespace: each.what for each in found} == {"stuck": "ending", "late": "ended"}
    assert problems(found) == ["stuck: the cluster refused: no"]


def test_an_end_without_a_time_zone_or_that_is_no_time_is_told() -> None:
    found = reap(Cluster(namespaces=[session("a", "tomorrow"), session("b", "2026-11-23T11:00:00")]), NOW)
    assert [each.what for each in found] == ["unclear", "unclear"]
    assert problems(found)[0] == "a: labctl.expires is 'tomorrow', which is no time"


def test_a_namespace_that_does_not_go_is_explained_after_a_while() -> None:
    said = {
        "conditions": [{"status": "True", "message": "Some resources are remaining: pods. has 1 resource instances"}]
    }
    going = session("going", PAST, deletionTimestamp="2026-11-23T11:59:30Z")
    hangs = {**session("hangs", PAST, deletionTimestamp="2026-11-23T11:00:00Z"), "status": said}
    (found,) = reap(Cluster(namespaces=[going, hangs]), NOW)
    assert (found.namespace, found.what) == ("hangs", "hangs")
    assert "Some resources are remaining: pods." in found.problem


def test_a_selector_narrows_which_sessions_are_looked_at() -> None:
    cluster = Cluster()
    reap(cluster, NOW, selector="labctl.cohort=autumn")
    assert cluster.asked == ["app.kubernetes.io/managed-by=labctl,labctl.session,labctl.cohort=autumn"]
