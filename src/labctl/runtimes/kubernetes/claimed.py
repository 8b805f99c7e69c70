"""The claimed workspace of a session, and the pod in which it is worked on: one that sees the volume and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

from labctl.errors import NotFoundError, UsageError
from labctl.runtimes.docker.labels import HOME, ROLE, SESSION
from labctl.runtimes.kubernetes import commands, fences, kinds, labels, streams
from labctl.runtimes.kubernetes import storage as storages
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.pods import WORKSPACE_CLAIM
from labctl.runtimes.kubernetes.streams import Place
from labctl.runtimes.kubernetes.workspace import VOLUME, ClaimedWorkspace, Execute

KEEPER = "keeper"
_LONGEST_S = 4 * 3600
_MEMORY = "128Mi"


def workspace(namespace: Namespace) -> ClaimedWorkspace:
    """The workspace of the session in `namespace`, live or not."""
    return ClaimedWorkspace(
        namespace.session,
        namespace.name,
        reach=partial(_reach, namespace),
        is_there=lambda: _claim(namespace) is not None,
        delete=lambda: _delete(namespace),
    )


def pod(namespace: Namespace, name: str, image: str, user: str) -> Manifest:
    """The pod; it waits for commands, and the cluster ends it when nobody else does."""
    uid, gid = (int(part) for part in user.split(":"))
    together = {"labelSelector": {"matchLabels": {SESSION: namespace.session}}, "topologyKey": "kubernetes.io/hostname"}
    container = {
        "name": KEEPER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "10m", "memory": _MEMORY}, "limits": {"cpu": "1", "memory": _MEMORY}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": WORKSPACE_CLAIM, "mountPath": VOLUME}],
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "activeDeadlineSeconds": _LONGEST_S,
        "terminationGracePeriodSeconds": 0,
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [together]}},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": gid,
            "fsGroup": gid,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": WORKSPACE_CLAIM, "persistentVolumeClaim": {"claimName": WORKSPACE_CLAIM}}],
    }
    marks = {labels.NAME: KEEPER, ROLE: KEEPER}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": marks}, "spec": spec}
    return fences.marked(made, namespace.name, labels.of_session(namespace.session, namespace.home))


@contextmanager
def _reach(namespace: Namespace) -> Iterator[Execute]:
    notes = (_claim(namespace) or {}).get("metadata", {}).get("annotations") or {}
    image, user = notes.get(storages.IMAGE), notes.get(storages.USER)
    if not image or not user:
        raise NotFoundError(f"namespace {namespace.name} holds no workspace", "`labctl up LAB` makes it")
    name = f"{KEEPER}-{uuid.uuid4().hex[:12]}"
    with namespace.cluster.feed.followed():
        namespace.api.create(pod(namespace, name, image, user))
        try:
            commands.await_running(namespace, name)
            place = Place(namespace=namespace.name, pod=name, container=KEEPER)

            def execute(command: Sequence[str], stdin: IO[bytes], size: int, stdout: IO[bytes]) -> tuple[int, str]:
                return streams.pipe(namespace.api, place, command, stdin, size, stdout)

            yield execute
        finally:
            namespace.api.delete(kinds.path("Pod", namespace.name, name), grace_s=0)


def _claim(namespace: Namespace) -> dict[str, Any] | None:
    found = namespace.api.find("PersistentVolumeClaim", namespace.name, WORKSPACE_CLAIM)
    return None if found is None or found["metadata"].get("deletionTimestamp") else found


def _delete(namespace: Namespace) -> None:
    """The namespace goes too: without the learner's files nothing is left in it that anybody would miss.

    Raises UsageError for one that is not ours.
    """
    found = namespace.api.find("Namespace", None, namespace.name)
    if found and (found["metadata"].get("labels") or {}).get(HOME) != namespace.home:
        raise UsageError(
            f"the namespace {namespace.name} was not made by labctl, so it is not deleted",
            "delete it yourself if you are sure",
        )
    namespace.api.delete(kinds.path("Namespace", None, namespace.name))
