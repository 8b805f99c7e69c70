"""The reaper on a real cluster. It needs KUBECONFIG and `kubectl`, and a node with the suite's image (tests/conformance/labs.py).

Its sessions bear a `labctl.home` of their own, and the reaper is told to look at no others: people may share the cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.reaping import Reaped, reap
from tests.conformance import labs

pytestmark = [pytest.mark.kubernetes, pytest.mark.xdist_group("kubernetes")]
NOW = datetime.now(UTC)
WAIT_S = 90
PAST, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Namespaces that look like sessions, all of one home."""

    api: Api
    home: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def reap(self, now: datetime = NOW) -> list[Reaped]:
        return reap(self.api, now, selector=f"labctl.home={self.home}")

    def reap_to_the_end(self) -> list[Reaped]:
        """Round after round, as in the cluster, until no pod is left to wait for."""
        found, deadline = self.reap(), time.monotonic() + WAIT_S
        while any(each.what == "ending" for each in found):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
            found = self.reap()
        return found

    def kubectl(self, *args: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["kubectl", *args], input=stdin, capture_output=True, text=True, check=False, timeout=WAIT_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def names(self, namespace: str, kind: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.api.items(kind, namespace)}

    def namespace(self, name: str) -> dict[str, Any]:
        found = self.api.find("Namespace", None, name)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster: start one (kind, k3d, …) and export KUBECONFIG=/its/file")
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl on PATH: https://kubernetes.io/docs/tasks/tools/")
    made = Cluster(Api(os.environ["KUBECONFIG"]))
    yield made
    made.kubectl("delete", "namespace", "-l", f"labctl.home={made.home}", "--wait=false")


@pytest.fixture
def session(cluster: Cluster) -> Callable[..., str]:
    """Makes a session's namespace with one of everything in it; its name."""

    def make(expires: str | None) -> str:
        name = f"reaped-{uuid.uuid4().hex[:8]}"
        manifests = [_namespace(name, cluster.home, expires), *_inside(name)]
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(_list(manifests)))
        cluster.kubectl("-n", name, "wait", "--for=condition=Available", "deployment/web", f"--timeout={WAIT_S}s")
        return name

    return make


def test_what_runs_in_an_expired_session_ends_and_the_learner_s_files_stay(
    cluster: Cluster, session: Callable[..., str]
) -> None:
    name = session(PAST.isoformat())
    (ended,) = cluster.reap_to_the_end()
    assert (ended.namespace, ended.what, ended.problem) == (name, "ended", "")
    assert ended.why == f"expired at {PAST:%Y-%m-%d %H:%M} UTC"
    for kind in ("Deployment", "Job", "Pod", "Service"):
        assert cluster.names(name, kind) == set(), kind
    assert "session-secrets" not in cluster.names(name, "Secret")
    assert "lab-files" not in cluster.names(name, "ConfigMap")
    assert "theirs" in cluster.names(name, "ConfigMap")  # what bears no label of the session's is somebody else's
    assert cluster.names(name, "PersistentVolumeClaim") == {"workspace"}
    metadata = cluster.namespace(name)["metadata"]
    assert metadata["labels"]["labctl.ended"] == "true"
    assert metadata["annotations"]["labctl.ended"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert cluster.reap() == []


def test_a_session_whose_time_is_not_over_or_that_has_no_end_is_left_alone(
    cluster: Cluster, session: Callable[..., str]
) -> None:
    names = [session(LATER.isoformat()), session(None)]
    assert cluster.reap() == []
    for name in names:
        assert cluster.names(name, "Deployment") == {"web"}
        assert "labctl.ended" not in cluster.namespace(name)["metadata"]["labels"]


def test_an_end_that_is_no_time_is_told_and_nothing_ends(cluster: Cluster, session: Callable[..., str]) -> None:
    name = session("tomorrow")
    (found,) = [each for each in cluster.reap() if each.namespace == name]
    assert (found.what, found.problem) == ("unclear", "labctl.expires is 'tomorrow', which is no time")
    assert cluster.names(name, "Deployment") == {"web"}


def test_a_namespace_that_does_not_go_is_explained(cluster: Cluster, session: Callable[..., str]) -> None:
    name = session(PAST.isoformat())
    keep = {"metadata": {"finalizers": ["example.org/keep"]}}
    cluster.kubectl("-n", name, "patch", "configmap", "theirs", "--type=merge", "-p", json.dumps(keep))
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    try:
        deadline = time.monotonic() + WAIT_S
        later = NOW + timedelta(hours=1)
        while "example.org/keep" not in (told := _problem(cluster, name, later)):
            assert time.monotonic() < deadline, told
            time.sleep(0.5)
        assert "configmaps" in told
    finally:
        gone = {"metadata": {"finalizers": None}}
        cluster.kubectl("-n", name, "patch", "configmap", "theirs", "--type=merge", "-p", json.dumps(gone))


def _problem(cluster: Cluster, name: str, now: datetime) -> str:
    return " ".join(each.problem for each in cluster.reap(now) if each.namespace == name and each.what == "hangs")


def _namespace(name: str, home: str, expires: str | None) -> dict[str, Any]:
    marks = {"app.kubernetes.io/managed-by": "labctl", "labctl.session": "probe--ada", "labctl.home": home}
    notes = {"annotations": {"labctl.expires": expires}} if expires else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": marks, **notes}}


def _inside(namespace: str) -> list[dict[str, Any]]:
    metadata = {"namespace": namespace, "labels": {"labctl.session": "probe--ada"}}
    pod = {
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": labs.IMAGE, "command": ["sleep", "3600"]}],
    }
    labels = {"app": "web", "labctl.session": "probe--ada"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    job = {"metadata": {"labels": labels}, "spec": {**pod, "restartPolicy": "Never"}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    ports = [{"port": 80, "protocol": "TCP"}]
    return [
        _made("v1", "PersistentVolumeClaim", metadata, "workspace", spec=claim),
        _made("v1", "Secret", metadata, "session-secrets", stringData={"token": "x"}),
        _made("v1", "ConfigMap", metadata, "lab-files", data={"a": "b"}),
        _made("v1", "ConfigMap", {"namespace": namespace}, "theirs", data={"a": "b"}),
        _made("v1", "Service", metadata, "web", spec={"selector": {"app": "web"}, "ports": ports}),
        _made("batch/v1", "Job", metadata, "job", spec={"template": job}),
        _made(
            "apps/v1",
            "Deployment",
            metadata,
            "web",
            spec={"selector": {"matchLabels": {"app": "web"}}, "template": template},
        ),
    ]


def _made(version: str, kind: str, metadata: dict[str, Any], name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {**metadata, "name": name}, **rest}


def _list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": items}
