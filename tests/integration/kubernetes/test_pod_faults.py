"""Pods that do not come to be, or do not stay: `up` says why in words, and mends it once the reason is gone. A real cluster."""

from __future__ import annotations

import pytest
import yaml

from labctl.errors import EngineError, UnhealthyError
from labctl.runtimes.base import State
from labctl.runtimes.kubernetes import kinds
from tests.conformance.homes import until
from tests.conformance.labs import IMAGE, server, worker
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = pytest.mark.kubernetes
WEB = server(restart="on-failure")
GREEDY = {"image": IMAGE, "command": ["python3", "-c", "x = b'x' * (300 << 20)"], "mem_limit": "64MiB", "restart": "no"}


CRASHING = worker("say:no such model", "exit:3", restart="on-failure", healthcheck={"command": ["false"]})
BROKEN = {
    "unknown": (
        {**WEB, "image": "registry.invalid/none:1"},
        "does not start: its image registry.invalid/none:1 cannot be had:",
        "cannot be had",
    ),
    "greedy": (GREEDY, "was killed: it wanted more memory than it may have", "more memory than it may have"),
    "crashing": (CRASHING, "does not stay up: ended with exit code 3\n    no such model", "no such model"),
}
"""Services, what `up` says of each, and what `status` says of it later."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_service_that_cannot_be_is_told_in_a_line_and_mended(faulty: FaultyHome, name: str) -> None:
    service, words, reason = BROKEN[name]
    faulty.write({"web": WEB, name: service})
    with pytest.raises(UnhealthyError) as told:
        faulty.up()
    assert f"service {name} {words}" in told.value.what
    assert "service web" not in told.value.what
    assert reason in faulty.service(name).reason
    until(lambda: faulty.service("web").state is State.RUNNING)
    web = faulty.identity("web")
    faulty.write({"web": WEB, name: WEB})
    assert set(faulty.up().changed) == {name}
    assert faulty.identity("web") == web


def test_a_lab_whose_gpu_no_node_has_stays_pending_with_the_reason(faulty: FaultyHome) -> None:
    if any("nvidia.com/gpu" in node["status"]["allocatable"] for node in faulty.api.items("Node")):
        pytest.skip("this cluster has GPUs: the test wants one without, as `kind create cluster` makes it")
    file = faulty.write({"web": WEB}) / "lab.yaml"
    lab = yaml.safe_load(file.read_text())
    lab["profiles"]["gpu"] = {**lab["profiles"]["cpu"], "gpu": {"count": 1, "memory": "16GiB"}}
    file.write_text(yaml.safe_dump(lab, sort_keys=False))
    with pytest.raises(UnhealthyError, match="service web does not start: no node takes its pod: 0/") as told:
        faulty.up(profile="gpu")
    assert "no node has" in told.value.what
    assert "GPU" in told.value.what
    (pod,) = [each for each in faulty.pods() if each["metadata"]["name"].startswith("web")]
    assert pod["status"]["phase"] == "Pending"
    assert "GPU" in faulty.service("web").reason
    assert not faulty.identity("web")
    faulty.down()
    faulty.up(profile="cpu")
    assert faulty.service("web").state is State.RUNNING


@pytest.mark.parametrize("restart", ["on-failure", "no"])  # a Deployment, a Job
def test_a_quota_that_something_else_has_used_up_is_told(faulty: FaultyHome, restart: str) -> None:
    faulty.write({"web": server(restart=restart), "other": WEB})
    faulty.up()
    faulty.runtime.end_services(faulty.session().handle, ["web"], faulty.steps.append)
    until(lambda: len(faulty.pods()) == 1, within_s=60)  # that of the other service
    until(lambda: _pods(faulty, "used") == 1, within_s=60)  # the quota is counted again after a while
    for number in range(_pods(faulty, "hard") - _pods(faulty, "used")):
        faulty.kubectl("create", "-f", "-", stdin=_pending(f"hog-{number}"))
    with pytest.raises(UnhealthyError) as told:
        faulty.up()
    assert "service web is not admitted: the quota `session` of its namespace is used up: requested: pods=1" in str(
        told.value
    )
    assert faulty.service("other").state is State.RUNNING
    faulty.kubectl("delete", "pod", "-l", "app=hog", "--grace-period=0", "--force")
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def test_what_somebody_else_has_changed_is_told_with_who_and_what(faulty: FaultyHome) -> None:
    faulty.write({"web": WEB, "api": WEB})
    faulty.up()
    api = faulty.identity("api")
    faulty.kubectl("set", "image", "deployment/web", "web=localhost/other:1")
    until(lambda: faulty.service("web").state is not State.RUNNING)
    with pytest.raises(EngineError, match=r"deployment/web was changed by somebody else: ") as told:
        faulty.up()
    assert '[name="web"].image (conflict with "kubectl' in told.value.what
    assert "delete deployment/web" in told.value.hint
    faulty.kubectl("delete", "deployment", "web")
    assert faulty.up().changed == ("web",)
    assert faulty.identity("api") == api


def test_what_somebody_has_scaled_to_nothing_is_brought_back(faulty: FaultyHome) -> None:
    faulty.write({"web": WEB})
    faulty.up()
    faulty.api.merge(kinds.path("Deployment", faulty.namespace, "web"), {"spec": {"replicas": 0}})
    until(lambda: faulty.service("web").state is not State.RUNNING)
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def test_what_is_deleted_while_it_starts_is_told(faulty: FaultyHome) -> None:
    faulty.write({"web": server("--after", "gate", restart="on-failure")})
    with faulty.beginning() as upping:
        until(lambda: any(each["status"]["phase"] == "Running" for each in faulty.pods()), within_s=60)
        faulty.kubectl("delete", "deployment", "web")
    with pytest.raises(UnhealthyError, match="service web was deleted by somebody while it started"):
        upping.result()
    faulty.write({"web": WEB})
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def _pods(faulty: FaultyHome, which: str) -> int:
    """How many pods the quota allows (`hard`) or counts (`used`)."""
    quota = faulty.api.find("ResourceQuota", faulty.namespace, "session")
    assert quota
    return int(quota["status"][which]["pods"])


def _pending(name: str) -> dict[str, object]:
    """A pod that no node takes: it only counts."""
    container = {"name": "hog", "image": IMAGE, "resources": {"limits": {"memory": "1Mi", "cpu": "1m"}}}
    spec = {"nodeSelector": {"example.org/none": "none"}, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "hog"}}, "spec": spec}
