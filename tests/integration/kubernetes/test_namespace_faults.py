"""A session's namespace is deleted behind labctl's back, or does not go: told in one line, mended by the next `up`. A real cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labctl.errors import EngineError
from labctl.runtimes.base import State
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import up
from labctl.runtimes.kubernetes.namespace import Cluster, Namespace
from labctl.runtimes.kubernetes.wanted import wanted
from labctl.sessions.up import UpRequest, prepare
from tests.conformance.homes import until
from tests.conformance.labs import LAB, server
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = pytest.mark.kubernetes
WEB = server(restart="on-failure")


def test_a_namespace_deleted_in_the_middle_of_a_session_is_made_anew(faulty: FaultyHome) -> None:
    faulty.write({"web": WEB})
    faulty.up()
    (faulty.workspace() / "mine.txt").write_text("kept")
    faulty.kubectl("delete", "namespace", faulty.namespace, "--wait=false")
    until(lambda: faulty.service("web").state is State.STOPPED)
    assert faulty.service("web").reason == "its namespace was deleted by somebody"
    assert faulty.up().changed == ("web",)
    assert any("waiting until what was deleted of it is gone" in step.detail for step in faulty.steps)
    assert faulty.send("web", "GET", "/file/mine.txt") == b"kept"


def test_a_namespace_deleted_while_up_runs_is_told_and_made_anew(faulty: FaultyHome) -> None:
    faulty.write({"web": server("--after", "gate", restart="on-failure")})
    with faulty.beginning() as upping:
        until(lambda: any(each["status"]["phase"] == "Running" for each in faulty.pods()), within_s=60)
        faulty.kubectl("delete", "namespace", faulty.namespace, "--wait=false")
    with pytest.raises(EngineError, match=f"the namespace {faulty.namespace} was deleted by somebody") as told:
        upping.result()
    assert f"`labctl up {LAB}`" in told.value.hint
    faulty.write({"web": WEB})
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def test_a_namespace_that_does_not_go_is_explained_and_up_works_once_it_is_gone(faulty: FaultyHome) -> None:
    faulty.write({"web": WEB})
    faulty.up()
    kept = {"metadata": {"name": "kept", "finalizers": ["example.org/keep"]}, "apiVersion": "v1", "kind": "ConfigMap"}
    faulty.kubectl("create", "-f", "-", stdin=kept)
    faulty.kubectl("delete", "namespace", faulty.namespace, "--wait=false")
    until(lambda: faulty.service("web").state is State.STOPPED)
    try:
        with pytest.raises(EngineError, match=r"is being deleted and does not go: .*example\.org/keep") as told:
            faulty.up()
        assert f"kubectl get namespace {faulty.namespace}" in told.value.hint
    finally:
        faulty.kubectl("patch", "configmap", "kept", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert faulty.up().changed == ("web",)


def test_two_hosts_at_once_bring_up_one_session(faulty: FaultyHome) -> None:
    faulty.write({"web": WEB, "api": WEB})
    plan = prepare(faulty.ctx, UpRequest(lab=LAB, learner="ada")).plan
    Path(plan.workspace.source or "").mkdir(parents=True)

    def bring() -> None:
        """As another host whose home has the same path: it does not see our lock."""
        folder = SessionFolder(faulty.settings.home, plan.session)
        folder.create_root()
        made = wanted(plan, faulty.settings, folder, None)
        namespace = Namespace(Cluster(faulty.settings.home, faulty.settings.kubeconfig), folder, made.handle)
        up.up(made, namespace, faulty.steps.append, expires_at=None)

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(bring), pool.submit(bring)]:
            each.result()
    assert len(faulty.pods()) == 2
    web = faulty.identity("web")
    faulty.up()  # the plan of a whole `up` also has a workspace
    assert faulty.identity("web") == web
