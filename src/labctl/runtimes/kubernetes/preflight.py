"""What keeps a plan from running on the cluster, before anything is declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labctl.runtimes.base import Problem
from labctl.runtimes.docker.parts import image_of_workspace
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.runtimes.kubernetes.scheduling import DRA, QUEUES

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.settings import Scheduling, Settings

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_NEEDED = (("create", "", "namespaces"), ("create", "apps", "deployments"), ("create", "", "pods/exec"))


def problems(plan: Plan, api: Api, settings: Settings) -> Iterator[Problem]:
    """Everything, not only the first. Raises ApiError when the cluster does not answer."""
    yield from _rights(api)
    yield from _images(plan)
    yield from _storage(plan, api, settings)
    yield from _scheduling(plan, api, settings.scheduling)
    for name in () if plan.egress else plan.absent_models:
        yield Problem(
            what=f"the model {name} is taken from a hub, which this lab's network does not reach",
            hint="set LABCTL_MODELS to the folder on the nodes that has it, allow the way out with `egress: true` in the lab file, or use --profile cpu",
        )


def _rights(api: Api) -> Iterator[Problem]:
    for verb, group, resource in _NEEDED:
        kind, _, sub = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": kind, **({"subresource": sub} if sub else {})}
        answer = api.request(
            "POST",
            kinds.path("SelfSubjectAccessReview"),
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            },
        )
        if not answer["status"].get("allowed"):
            yield Problem(
                what=f"this account may not {verb} {resource} in the cluster",
                hint="ask whoever runs the cluster for the rights in k8s/base/rbac, or use another context",
            )


def _images(plan: Plan) -> Iterator[Problem]:
    for service in plan.services:
        if not service.image:
            yield Problem(
                what=f"service {service.name} names no image",
                hint=f"give services.{service.name}.image in the lab file, or use --runtime local",
            )
    if not image_of_workspace(plan):
        yield Problem(
            what="the lab names no image for its workspace",
            hint="give workspace.image in the lab file, for example docker/workspace",
        )


def _storage(plan: Plan, api: Api, settings: Settings) -> Iterator[Problem]:
    if settings.storage_class:
        yield from _class(api, settings.storage_class)
    elif settings.workspace_volume == "claim" or plan.models:
        yield from _default_class(api)


def _scheduling(plan: Plan, api: Api, scheduling: Scheduling) -> Iterator[Problem]:
    """Whether the cluster knows what the settings ask of it: only what is there is used."""
    if scheduling.queue and not _serves(api, QUEUES, "localqueues"):
        yield Problem(
            what=f"LABCTL_KUEUE_QUEUE is {scheduling.queue!r}, and the cluster does not serve LocalQueue of {QUEUES}",
            hint="install Kueue 0.14 or later (https://kueue.sigs.k8s.io), or unset it",
        )
    if scheduling.device_class and plan.allocation and not _serves(api, DRA, "resourceclaimtemplates"):
        yield Problem(
            what=f"LABCTL_GPU_DEVICE_CLASS is {scheduling.device_class!r}, and the cluster does not serve {DRA}",
            hint="Kubernetes 1.34 has it, with NVIDIA's DRA driver; or unset it to ask for " + scheduling.gpu_resource,
        )
    if scheduling.priority_class and api.find("PriorityClass", None, scheduling.priority_class) is None:
        yield Problem(
            what=f"the cluster has no priority class {scheduling.priority_class!r}",
            hint="`kubectl get priorityclass` shows them; set LABCTL_PRIORITY_CLASS to one, or unset it",
        )


def _serves(api: Api, version: str, resources: str) -> bool:
    try:
        answer = api.get(f"/apis/{version}")
    except ApiError as error:
        if error.is_missing:
            return False
        raise
    return any(each["name"] == resources for each in answer.get("resources") or [])


def _class(api: Api, name: str) -> Iterator[Problem]:
    if api.find("StorageClass", None, name) is None:
        known = ", ".join(each["metadata"]["name"] for each in api.items("StorageClass")) or "none"
        yield Problem(
            what=f"the cluster has no storage class {name!r}; it has: {known}", hint="set LABCTL_STORAGE_CLASS"
        )


def _default_class(api: Api) -> Iterator[Problem]:
    try:
        known = api.items("StorageClass")
    except ApiError as error:
        if error.status == 403:  # who may not look finds out when the claim stays pending
            return
        raise
    marked = [each for each in known if (each["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"]
    if not marked:
        names = ", ".join(each["metadata"]["name"] for each in known) or "none"
        yield Problem(
            what=f"the cluster has no default storage class for workspaces; its classes: {names}",
            hint="choose one: LABCTL_STORAGE_CLASS=NAME; or LABCTL_WORKSPACE_VOLUME=host where nodes see this host's folders",
        )
