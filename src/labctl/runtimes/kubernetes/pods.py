"""A part of a session as a pod that Pod Security's level `restricted` admits. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.names import SECRET
from labctl.runtimes.docker.labels import DIGEST
from labctl.runtimes.kubernetes import labels
from labctl.runtimes.kubernetes.fences import quantity
from labctl.runtimes.kubernetes.probes import probes
from labctl.runtimes.kubernetes.scheduling import ANYWHERE, CLAIM, affinity, claims
from labctl.settings import Scheduling

if TYPE_CHECKING:
    from labctl.labs.spec import GpuNeed
    from labctl.runtimes.docker.parts import Part

USER = 1000
SECRETS = "session-secrets"
WORKSPACE_CLAIM, MODELS_CLAIM = "workspace", "models"
LAB_FILES = "lab-files"
_SECRET_VARIABLE = "LABCTL_SECRET_"  # noqa: S105 - how the names of secrets begin
_LAST_PRIVILEGED_PORT = 1023
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_INIT_MEMORY_MIB = 256
_DRAIN_S = 5
_CPU_REQUEST = 0.01
"""Of the cores that a container may use: a lab says the most, and most of the time it waits for its learner."""
_SEED = """\
cd "$0" || exit 1
[ -e .labctl ] && exit 0
[ -e README.md ] || [ ! -e /lab/README.md ] || { cp /lab/README.md README.md && chmod u+w README.md; }
(cd /lab/workspace 2>/dev/null && find -L . -path './..*' -prune -o -type f -print) | while IFS= read -r file; do
  [ -e "$file" ] || { mkdir -p "$(dirname "$file")" && cp "/lab/workspace/$file" "$file" && chmod u+w "$file"; }
done
echo "$1" > .labctl.new && mv .labctl.new .labctl
"""
"""The lab's starter files, once: what the learner has deleted since stays deleted."""
_AWAIT_MODELS = 'for made; do until [ -d "$made" ]; do sleep 1; done; done\n'
_AWAIT_SERVICE = """\
has() { command -v "$1" >/dev/null 2>&1; }
ask() {
  if has bash; then bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
  elif has nc; then nc "$1" "$2" </dev/null >/dev/null 2>&1
  else python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], sys.argv[2]), 3)' "$1" "$2" 2>/dev/null; fi
}
until ask "$0" "$1"; do sleep 1; done
"""
"""A Service has an address to answer from only while its pod is ready: whoever gets through has found it healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A part with what only its place in the plan tells.

    `awaits` are (service, port) that must answer first, `models` the folders that must be there; `ports` are its own by
    name, `check` is its health check; `once` tells that it is meant to end.
    """

    part: Part
    check: Mapping[str, Any] | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    awaits: Sequence[tuple[str, int]] = ()
    models: Sequence[str] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[Mapping[str, Any]] = ()
    workspace: str = "/workspace"
    once: bool = False
    revive: bool = False
    gpu: GpuNeed | None = None
    share: int = 1
    """Of how many pods this is one: together they ask for the memory that each may take."""
    scheduling: Scheduling = ANYWHERE
    replicas: int = 1
    """More than one are changed one after the other, and none may be asked that is about to end."""
    seeded: bool = True
    """Whether it lays the starter's files where there are none yet."""


def template(pod: Pod, marks: Mapping[str, str]) -> dict[str, Any]:
    """The pod template of a Deployment or a Job."""
    own = {**marks, **labels.of_part(pod.part.name, pod.part.role)}
    spec = _spec(pod, own)
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    return {"metadata": {"labels": own, "annotations": {DIGEST: digest}}, "spec": spec}


def secrets_of(texts: Sequence[str]) -> list[str]:
    """The names of the secrets that stand in `texts`, sorted."""
    return sorted({name for text in texts for name in SECRET.findall(text)})


def filled(text: str) -> str:
    """`text` for a field in which Kubernetes puts variables: secrets become `$(…)`, and every other `$` means itself.

    >>> filled("$(date) $HOME $$"), filled("a$${LABCTL_SECRET_B}")
    ('$$(date) $HOME $$$', 'a$$$(LABCTL_SECRET_B)')
    """
    *pieces, last = SECRET.split(text)  # text, name, text, name, … text
    before = [f"$({_SECRET_VARIABLE}{piece})" if n % 2 else piece.replace("$", "$$") for n, piece in enumerate(pieces)]
    return "".join([*before, re.sub(r"\$(?=[$(])", "$$", last)])


def _spec(pod: Pod, marks: Mapping[str, str]) -> dict[str, Any]:
    part = pod.part
    found = {
        "restartPolicy": "Never" if pod.once else "Always",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": True,  # its first process reaps what the container's leaves behind
        "hostname": part.name,
        "terminationGracePeriodSeconds": max(1, round(part.grace_s)) + _DRAIN_S * (pod.replicas > 1),
        "securityContext": _security(pod),
        "affinity": affinity(part, pod.gpu, pod.scheduling, marks),
        "initContainers": _first(pod),
        "containers": [_container(pod)],
        "resourceClaims": claims(part, pod.scheduling),
        "priorityClassName": pod.scheduling.priority_class or "",
        "volumes": [*_scratch(part), *map(dict, pod.volumes)],
    }
    return {key: value for key, value in found.items() if value not in ({}, [], "")}


def _security(pod: Pod) -> dict[str, Any]:
    user, group = (int(each) for each in pod.part.user.split(":"))
    found: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if any(port <= _LAST_PRIVILEGED_PORT for port in pod.ports.values()):
        found["sysctls"] = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    return found


def _first(pod: Pod) -> list[dict[str, Any]]:
    """What must have happened before it starts: starter files, models, the services that it depends on."""
    found = []
    if pod.seeded and any(mount["mountPath"] == pod.workspace for mount in pod.mounts):
        session = pod.part.environment.get("LABCTL_SESSION", "")
        found.append(_init(pod, "starter-files", ["sh", "-c", _SEED, pod.workspace, session]))
    if pod.models:
        found.append(_init(pod, "models", ["sh", "-c", _AWAIT_MODELS, "sh", *pod.models]))
    for service, port in pod.awaits:
        found.append(_init(pod, f"await-{service}"[:63].rstrip("-"), ["sh", "-c", _AWAIT_SERVICE, service, str(port)]))
    return found


def _init(pod: Pod, name: str, command: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": pod.part.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [filled(word) for word in command],
        "resources": _init_resources(pod.part),
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [*map(dict, pod.mounts)],
    }


def _init_resources(part: Part) -> dict[str, Any]:
    """Never more than what the pod has later: a quota counts whichever is the larger."""
    memory, cpus = min(_INIT_MEMORY_MIB, part.memory_mib), min(1.0, part.cpus)
    return {
        "requests": {"cpu": "10m", "memory": f"{min(32, memory)}Mi"},
        "limits": {"cpu": quantity(cpus), "memory": f"{memory}Mi"},
    }


def _container(pod: Pod) -> dict[str, Any]:
    part = pod.part
    found = {
        "name": part.name,
        "image": part.image,
        "imagePullPolicy": "IfNotPresent",
        **_command(part),
        "workingDir": part.working_dir or "",
        "env": _environment(part),
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in dict.fromkeys(pod.ports.values())],
        "resources": _resources(pod),
        **probes(pod.check, pod.ports, revive=pod.revive),
        **_drain(pod),
        "securityContext": _CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*_scratch_mounts(part), *map(dict, pod.mounts)],
    }
    return {key: value for key, value in found.items() if value not in ("", [], {})}


def _drain(pod: Pod) -> dict[str, Any]:
    """It answers on until nobody is sent to it any more: that it ends is told to all nodes only while it ends."""
    sleep = {"exec": {"command": ["sleep", str(_DRAIN_S)]}}
    return {"lifecycle": {"preStop": sleep}} if pod.replicas > 1 else {}


def _command(part: Part) -> dict[str, Any]:
    """Kubernetes' `command` is an image's entrypoint, which a lab's command does not replace in a container either."""
    words = [filled(word) for word in part.command]
    if part.entrypoint is None:
        return {"args": words}
    return {"command": [filled(word) for word in part.entrypoint], "args": words}


def _environment(part: Part) -> list[dict[str, Any]]:
    """Secrets first: what names one comes after it. Of GPUs the device plugin tells those that have one."""
    told = part.environment
    if part.gpus:
        told = {name: value for name, value in told.items() if name != "NVIDIA_VISIBLE_DEVICES"}
    named = secrets_of([*told.values(), *part.command])
    return [
        *({"name": f"{_SECRET_VARIABLE}{name}", "valueFrom": {"secretKeyRef": _key(name)}} for name in named),
        *({"name": name, "value": filled(value)} for name, value in told.items()),
    ]


def _key(name: str) -> dict[str, str]:
    return {"name": SECRETS, "key": name}


def _resources(pod: Pod) -> dict[str, Any]:
    part = pod.part
    scheduling = pod.scheduling
    gpus = {scheduling.gpu_resource: str(len(part.gpus))} if part.gpus and not scheduling.device_class else {}
    claimed = {"claims": [{"name": CLAIM}]} if claims(part, scheduling) else {}
    asked = {
        "cpu": quantity(round(part.cpus * _CPU_REQUEST, 3)),
        "memory": f"{max(16, part.memory_mib // pod.share)}Mi",
    }
    return {
        "requests": {**asked, **gpus},
        "limits": {"cpu": quantity(part.cpus), "memory": f"{part.memory_mib}Mi", **gpus},
        **claimed,
    }


def _scratch(part: Part) -> list[dict[str, Any]]:
    """What can be written besides volumes: it is memory, and counts as the container's."""
    return [_memory(_volume_name(n), _size_mib(options)) for n, options in enumerate(part.tmpfs.values())] + [
        _memory("shm", part.shm_mib)
    ]


def _scratch_mounts(part: Part) -> list[dict[str, Any]]:
    own = [{"name": _volume_name(n), "mountPath": path} for n, path in enumerate(part.tmpfs)]
    return [*own, {"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108 - its own, in memory


def _volume_name(number: int) -> str:
    return f"scratch-{number}"


def _memory(name: str, size_mib: int) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": f"{size_mib}Mi"}}


def _size_mib(options: str) -> int:
    found = re.search(r"size=(\d+)m", options)
    return int(found[1]) if found else 64
