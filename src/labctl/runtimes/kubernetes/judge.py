"""Judging a session in its own namespace: a Job whose account learners do not have. It says on its log what it found.

Its pod has the API's token and the lab's checks; nothing of the learner's runs in it. What must run the learner's code runs in
pods of its own (commands.py), which the Job's account may make.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from labctl.errors import EngineError
from labctl.images import catalog
from labctl.runtimes.docker.labels import LAB, ROLE
from labctl.runtimes.kubernetes import commands, fences, folders, kinds, labels
from labctl.runtimes.kubernetes import storage as storages
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.pods import MODELS_CLAIM, WORKSPACE_CLAIM
from labctl.runtimes.kubernetes.seen import Seen, event_words, words_of_end, words_of_waiting
from labctl.runtimes.kubernetes.storage import Storage
from labctl.settings import Settings

IMAGE = "docker/labctl"
ACCOUNT = "labctl-grader"
GRADER = "grader"
LAB_FOLDER = "/grading/lab"
"""Where the judge sees the lab's folder."""
TASK = "/grading/task"
"""Where it is told what to judge: the file task.json."""
WORKSPACE = "/workspace"
TRIES = 2
"""Once more when the first was killed."""
_KEPT = ("solution", "mutants", "workspace")
"""What of a lab no judge needs."""
_LONGEST_S = 4 * 3600
_READY_S, _MADE_S, _ENDING_S = 300.0, 90.0, 15.0
"""How long its pod may need to run, to be made by the Job, and to be told of as ended."""
_KEPT_S = 600
_RULES = (
    ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]}),
    ({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}),
    ({"apiGroups": [""], "resources": ["pods/log", "events"], "verbs": ["get", "list"]}),
    ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}),
    ({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list"]}),
)


def judge(
    namespace: Namespace, criteria: Sequence[Mapping[str, Any]], only: Sequence[str], settings: Settings
) -> Iterator[dict[str, Any]]:
    """What the Job says, one object a line, as it comes. A judge that was killed is tried once more, from the beginning.

    Raises EngineError when there is no answer.
    """
    name = f"{GRADER}-{uuid.uuid4().hex[:12]}"
    lab = folders.read(f"{name}-lab", Path(namespace.handle["lab_path"]), _shown(Path(namespace.handle["lab_path"])))
    task = _task(namespace, criteria, only)
    made = [*account(), _config(f"{name}-task", task), *lab.manifests()]
    try:
        for manifest in made:
            namespace.api.apply(fences.marked(manifest, namespace.name, _marks(namespace)))
        yield from _tries(namespace, name, lab, settings)
    finally:
        _forget(namespace, name, lab)


def account() -> list[Manifest]:
    """Who judges, and what it may do: pods of this namespace, and nothing else."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    rbac, name = "rbac.authorization.k8s.io/v1", {"name": ACCOUNT}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name, "automountServiceAccountToken": False},
        {"apiVersion": rbac, "kind": "Role", "metadata": name, "rules": [dict(rule) for rule in _RULES]},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": name,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}],
        },
        _way_to_the_api(),
    ]


def job(namespace: Namespace, name: str, lab: folders.Folder, image: str) -> Manifest:
    """The Job; what it leaves is tidied up by the cluster when nobody else does."""
    marks = {labels.NAME: GRADER, ROLE: GRADER}
    template = {"metadata": {"labels": {**_marks(namespace), **marks}}, "spec": _pod(namespace, name, lab, image)}
    spec = {"backoffLimit": TRIES - 1, "ttlSecondsAfterFinished": _KEPT_S, "template": template}
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": marks}, "spec": spec}
    return fences.marked(made, namespace.name, _marks(namespace))


def _pod(namespace: Namespace, name: str, lab: folders.Folder, image: str) -> dict[str, Any]:
    storage, user = Storage(**namespace.handle["storage"]), str(namespace.handle["host"]["user"]).split(":")
    models = [{"name": MODELS_CLAIM, "mountPath": "/models", "readOnly": True}] if namespace.handle["models"] else []
    task = {"name": "task", "configMap": {"name": f"{name}-task"}}
    volumes = [_claim(WORKSPACE_CLAIM), *([_claim(MODELS_CLAIM)] if models else []), lab.volume(), task]
    volumes += storages.hub_volumes(storage)
    mounts = [
        {**storages.workspace_mount(storage, WORKSPACE), "readOnly": True},
        *models,
        *storages.hub_mounts(storage),
        {"name": lab.name, "mountPath": LAB_FOLDER, "readOnly": True},
        {"name": "task", "mountPath": TASK, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - its own, in memory
        {"name": "tmp", "mountPath": "/var/lib/labctl"},
    ]
    size = {"memory": f"{fences.JUDGE_MEMORY_MIB}Mi"}
    container = {
        "name": GRADER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "labctl.sessions.judging", f"{TASK}/task.json"],
        "resources": {
            "requests": {"cpu": "50m", **size},
            "limits": {"cpu": fences.quantity(fences.JUDGE_CPUS), **size},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "activeDeadlineSeconds": _LONGEST_S,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": int(user[0]),
            "runAsGroup": int(user[1]),
            "fsGroup": int(user[1]),
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}}],
    }


def _tries(namespace: Namespace, name: str, lab: folders.Folder, settings: Settings) -> Iterator[dict[str, Any]]:
    """What the Job's pods say, one after another: when one is killed, the Job makes the next."""
    followed, why = set[str](), ""
    with namespace.cluster.feed.followed():
        namespace.api.create(job(namespace, name, lab, catalog.reference(IMAGE, "cpu", settings)))
        for number in range(1, TRIES + 1):
            pod = _await_begun(namespace, name, followed)
            followed.add(pod.name)
            yield {"attempt": number, "because": why}
            for said in _lines(namespace, pod.name):
                yield said
                if "done" in said:
                    return
            why = _end_of(namespace, pod.name)
    raise EngineError(
        f"the judge did not come to an end, {TRIES} times: {why}",
        f"`kubectl -n {namespace.name} get events` says more; then `labctl verify` again",
    )


def _lines(namespace: Namespace, pod: str) -> Iterator[dict[str, Any]]:
    where = kinds.path("Pod", namespace.name, pod) + "/log"
    with suppress(EngineError):  # a log that breaks off: what became of the pod tells why
        for line in namespace.api.lines(where, container=GRADER, follow="true"):
            with suppress(ValueError):  # a warning of some library
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said


def _await_begun(namespace: Namespace, name: str, followed: set[str]) -> Seen:
    """The Job's next pod, once its log can be read."""
    feed, deadline = namespace.cluster.feed, time.monotonic() + _READY_S
    while True:
        version = feed.version
        pods = [each for each in feed.pods(namespace.name) if each.name.startswith(f"{name}-")]
        new = next((each for each in pods if each.name not in followed), None)
        if new is not None and (new.running or new.is_over):
            return new
        is_late = time.monotonic() > (deadline if new or followed else deadline - _READY_S + _MADE_S)
        if is_late or (new is not None and new.is_hopeless):
            raise _not_begun(namespace, name, new)
        feed.wait(version, 1.0)


def _not_begun(namespace: Namespace, name: str, pod: Seen | None) -> EngineError:
    why = words_of_waiting(pod) if pod else event_words(namespace.events(name)) or "the cluster has not made its pod"
    return EngineError(
        f"the judge does not start: {why or 'the cluster does not say why'}",
        "its image is docker/labctl: `labctl image build labctl`, then bring it to the cluster's registry",
    )


def _end_of(namespace: Namespace, pod: str) -> str:
    feed, deadline = namespace.cluster.feed, time.monotonic() + _ENDING_S
    while True:
        version = feed.version
        seen = next((each for each in feed.pods(namespace.name) if each.name == pod), None)
        if seen is None:
            return "its pod was deleted"
        if seen.is_over or time.monotonic() > deadline:
            return f"it {words_of_end(seen)}"
        feed.wait(version, 1.0)


def _task(namespace: Namespace, criteria: Sequence[Mapping[str, Any]], only: Sequence[str]) -> str:
    """What is judged, and the session as its pod sees it."""
    handle = dict(namespace.handle)
    if handle.get("check"):
        template = commands.check_pod(namespace, commands.part_of(namespace), "check", _LONGEST_S)
        handle["check_pod"] = template
    handle |= {"folder": WORKSPACE, "lab_folder": LAB_FOLDER}
    target = {"factory": "labctl.runtimes.kubernetes.target:connect", "arguments": handle}
    return json.dumps({"criteria": list(criteria), "only": list(only), "target": target})


def _config(name: str, task: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"task.json": task}}


def _way_to_the_api() -> Manifest:
    """The judge alone may ask the cluster's API, wherever that is."""
    ports = [{"protocol": "TCP", "port": port} for port in (443, 6443)]
    spec = {
        "podSelector": {"matchLabels": {ROLE: GRADER}},
        "policyTypes": ["Egress"],
        "egress": [{"ports": ports}],
    }
    version = "networking.k8s.io/v1"
    return {"apiVersion": version, "kind": "NetworkPolicy", "metadata": {"name": "grader"}, "spec": spec}


def _forget(namespace: Namespace, name: str, lab: folders.Folder) -> None:
    """What was made for this one time; the account stays."""
    gone = [("Job", name), ("ConfigMap", f"{name}-task")]
    gone += [("ConfigMap", each["metadata"]["name"]) for each in lab.manifests()]
    for kind, each in gone:
        with suppress(EngineError):  # `up` and `down` find what is left
            namespace.api.delete(kinds.path(kind, namespace.name, each))


def _shown(lab: Path) -> list[str]:
    return sorted(entry.name for entry in lab.iterdir() if entry.name not in _KEPT and not entry.name.startswith("."))


def _marks(namespace: Namespace) -> dict[str, str]:
    return {**labels.of_session(namespace.session, namespace.home), LAB: namespace.handle["lab"]}


def _claim(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}
