"""An admission webhook that is not there: told with its name, and gone through once it is mended. A real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labctl.errors import EngineError, UnhealthyError
from labctl.runtimes.base import State
from labctl.runtimes.docker.labels import HOME, home_id
from tests.conformance.labs import server
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = pytest.mark.kubernetes
HOOKS = "validatingwebhookconfigurations"
RULE = "rule.example.org"


@pytest.fixture
def home_with_rule(faulty: FaultyHome) -> Iterator[FaultyHome]:
    """Its sessions' rules are taken away at the end."""
    yield faulty
    faulty.kubectl("delete", HOOKS, _name(faulty), "--ignore-not-found")


def test_a_rule_on_deployments_whose_server_is_not_there_is_told(home_with_rule: FaultyHome) -> None:
    faulty = home_with_rule
    faulty.write({"web": server(restart="on-failure")})
    faulty.kubectl("create", "-f", "-", stdin=_rule(faulty, "apps", "deployments"))
    with pytest.raises(EngineError, match=rf'deployment/web: the cluster refused: .*webhook "{RULE}"') as told:
        faulty.up()
    assert f"kubectl get {HOOKS}" in told.value.hint
    faulty.kubectl("delete", HOOKS, _name(faulty))
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def test_a_rule_on_pods_whose_server_is_not_there_is_told(home_with_rule: FaultyHome) -> None:
    faulty = home_with_rule
    faulty.write({"web": server(restart="on-failure")})
    faulty.kubectl("create", "-f", "-", stdin=_rule(faulty, "", "pods"))
    with pytest.raises(UnhealthyError, match=rf'service web is not admitted: .*webhook "{RULE}"'):
        faulty.up()
    faulty.kubectl("delete", HOOKS, _name(faulty))
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def _name(faulty: FaultyHome) -> str:
    return f"labctl-test-{home_id(faulty.settings.home)}"


def _rule(faulty: FaultyHome, group: str, resource: str) -> dict[str, object]:
    """For this home's namespaces only."""
    own = {"matchLabels": {HOME: home_id(faulty.settings.home)}}
    hook = {
        "name": RULE,
        "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
        "clientConfig": {"service": {"namespace": faulty.namespace, "name": "nobody", "path": "/"}},
        "namespaceSelector": own,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    made = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return {**made, "metadata": {"name": _name(faulty)}, "webhooks": [hook]}
