"""Who may do what in the cluster: no more than what labctl's own code asks for."""

from __future__ import annotations

from itertools import product
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel
from celpy.celtypes import MapType, StringType

from labctl.runtimes.kubernetes import judge, kinds
from tests.unit.hosting.tree import Manifest, plain

ROLES = {each["metadata"]["name"]: each["rules"] for each in plain() if each["kind"] == "ClusterRole"}
BINDINGS = [each for each in plain() if each["kind"] in ("ClusterRoleBinding", "RoleBinding")]
HUB = "system:serviceaccount:labctl-system:hub"
OURS = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "labctl"}}}
THEIRS = {"metadata": {"labels": {"team": "blue"}}}
BARE: dict[str, Any] = {"metadata": {}}


def verbs(role: str, resource: str) -> set[str]:
    return {verb for rule in ROLES[role] if resource in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_wildcards_or_a_way_to_more_rights(role: str) -> None:
    for rule in ROLES[role]:
        assert "*" not in {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
        assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"])
    assert not verbs(role, "clusterroles") | verbs(role, "clusterrolebindings")


def test_the_reaper_makes_nothing_and_reads_no_secret() -> None:
    every = {verb for rule in ROLES["labctl-reaper"] for verb in rule["verbs"]}
    assert every == {"delete", "deletecollection", "get", "list", "patch"}
    assert verbs("labctl-reaper", "secrets") == {"deletecollection"}
    assert [rule["resources"] for rule in ROLES["labctl-reaper"] if "patch" in rule["verbs"]] == [["namespaces"]]


def test_the_hub_may_give_what_judges_a_session_its_rights() -> None:
    """Kubernetes lets nobody make a Role with more rights than they have."""
    (role,) = [each for each in judge.account() if each["kind"] == "Role"]
    held = {
        (group, resource, verb)
        for rule in ROLES["labctl-hub"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    for rule in role["rules"]:
        assert set(product(rule["apiGroups"], rule["resources"], rule["verbs"])) <= held
    for kind in ("roles", "rolebindings", "serviceaccounts"):
        assert {"create", "patch"} <= verbs("labctl-hub", kind)


def test_each_account_has_its_own_role() -> None:
    bound = {each["roleRef"]["name"]: [who["name"] for who in each["subjects"]] for each in BINDINGS}
    assert bound == {"labctl-hub": ["hub"], "labctl-reaper": ["reaper"]}


@pytest.mark.parametrize(
    ("kind", "group"),
    [("Namespace", ""), ("Deployment", "apps"), ("NetworkPolicy", "networking.k8s.io"), ("ConfigMap", ""), ("Pod", "")],
)
def test_the_hub_may_apply_what_a_session_is_made_of(kind: str, group: str) -> None:
    from labctl.runtimes.kubernetes.kinds import path

    resource = path(kind).rpartition("/")[2]
    rules = [rule for rule in ROLES["labctl-hub"] if resource in rule["resources"] and group in rule["apiGroups"]]
    assert {"create", "patch", "get", "delete"} <= {verb for rule in rules for verb in rule["verbs"]}


WITHOUT = {
    "persistentvolumes": "a folder of the host that labctl runs on; in a cluster workspaces are claims",
    "selfsubjectaccessreviews": "everybody may ask what they may do",
}


@pytest.mark.parametrize("kind", sorted(kinds._PLURALS))
def test_no_kind_that_the_runtime_knows_was_forgotten(kind: str) -> None:
    plural = kinds._PLURALS[kind]
    assert bool(verbs("labctl-hub", plural)) is (plural not in WITHOUT)


def test_nobody_reads_secrets() -> None:
    for role in ROLES:
        assert not {"get", "list", "watch"} & verbs(role, "secrets")


class TestConfined:
    """The admission policy's own expressions, evaluated."""

    policy = next(each for each in plain() if each["kind"] == "ValidatingAdmissionPolicy")["spec"]

    def decision(self, who: str, resource: str, *, group: str = "", **objects: Manifest | None) -> bool | None:
        """Whether the request passes; None when the policy is not about it."""
        request = {
            "userInfo": {"username": who},
            "resource": {"group": group, "resource": resource},
        }
        given = {"object": None, "oldObject": None, "namespaceObject": None, **objects, "request": request}
        values: dict[str, Any] = {name: json_to_cel(value) for name, value in given.items()}
        if not all(evaluate(each["expression"], values) for each in self.policy["matchConditions"]):
            return None
        known: dict[Any, Any] = {}
        for variable in self.policy["variables"]:
            known[StringType(variable["name"])] = evaluate(variable["expression"], values)
            values = {**values, "variables": MapType(known)}
        return all(bool(evaluate(each["expression"], values)) for each in self.policy["validations"])

    def test_sessions_are_made_changed_and_ended(self) -> None:
        assert self.decision(HUB, "namespaces", object=OURS) is True
        assert self.decision(HUB, "namespaces", object=OURS, oldObject=OURS) is True
        assert self.decision(HUB, "namespaces", oldObject=OURS) is True
        assert self.decision(HUB, "pods", object=BARE, namespaceObject=OURS) is True

    @pytest.mark.parametrize("other", [THEIRS, BARE])
    def test_what_is_somebody_else_s_is_left_alone(self, other: Manifest) -> None:
        assert self.decision(HUB, "namespaces", oldObject=other) is False
        assert self.decision(HUB, "namespaces", object=OURS, oldObject=other) is False  # not even taken over
        assert self.decision(HUB, "namespaces", object=other, oldObject=OURS) is False
        assert (
            self.decision(HUB, "pods", object=OURS, namespaceObject=other) is False
        )  # a label of the pod's is no leave
        assert self.decision(HUB, "pods", namespaceObject=other) is False  # exec

    def test_nothing_outside_of_namespaces_is_changed(self) -> None:
        assert self.decision(HUB, "nodes", object=OURS) is False

    def test_it_is_about_labctl_s_accounts_alone_and_not_about_questions(self) -> None:
        assert self.decision("system:serviceaccount:other:hub", "pods", namespaceObject=THEIRS) is None
        group = "authorization.k8s.io"
        assert self.decision(HUB, "selfsubjectaccessreviews", group=group, object=BARE) is None

    def test_it_is_enforced(self) -> None:
        (binding,) = [each for each in plain() if each["kind"] == "ValidatingAdmissionPolicyBinding"]
        assert binding["spec"]["policyName"] == "labctl-confined"
        assert "Deny" in binding["spec"]["validationActions"]
        assert self.policy["failurePolicy"] == "Fail"


def evaluate(expression: str, values: dict[str, Any]) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression)).evaluate(values)
