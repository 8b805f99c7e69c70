"""`up` on a cluster, from the namespace to healthy pods, and its opposites. The caller holds the session's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.progress import Progress, Step
from labctl.runtimes import handles as kept
from labctl.runtimes import secrets
from labctl.runtimes.base import Handle, Started, State
from labctl.runtimes.docker import users
from labctl.runtimes.docker.labels import DIGEST
from labctl.runtimes.docker.parts import JUPYTER_TOKEN, WORKSPACE, Host
from labctl.runtimes.kubernetes import fences, forwards, kinds, labels, manifests, standing, unmade
from labctl.runtimes.kubernetes.bringing import BUILD_S, JOB_S, WITHOUT_CHECK_S, Bringing, bring_up
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.manifests import Declared
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.refusals import MANAGER, ApiError
from labctl.runtimes.kubernetes.state import states
from labctl.runtimes.kubernetes.storage import HUB_CLAIM, Storage, volume_name

if TYPE_CHECKING:
    from labctl.plan import Plan

_AT_ONCE = 8
_WELL = (State.RUNNING, State.EXITED, State.STARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a session is to become."""

    plan: Plan
    host: Host
    storage: Storage
    declared: Declared
    handle: Mapping[str, Any]


def up(wanted: Wanted, namespace: Namespace, progress: Progress, *, expires_at: str | None) -> Started:
    """Bring the session to its plan. Raises what `Runtime.up` raises."""
    kept.write(wanted.plan, wanted.handle, namespace.folder, expires_at)
    if wanted.storage.folder:
        users.give(Path(wanted.storage.folder), wanted.host.user)
    standing.stand_in(namespace, wanted.declared.namespace, progress)
    try:
        removed, started = _bring(wanted, namespace, progress)
    except ApiError as error:
        if error.status in (403, 404):  # as every request is answered whose namespace goes away
            namespace.require()
        raise
    forwards.keep(namespace.folder, namespace.name, wanted.handle["services"], namespace.api.kubeconfig)
    return Started(handle=wanted.handle, changed=tuple(dict.fromkeys([*removed, *started])))


def changes(wanted: Wanted, namespace: Namespace) -> list[str]:
    """One line a thing that would be made, started, replaced or ended; empty when the session runs as planned."""
    now = {service.name: service for service in states(namespace, probe=False)}
    if not namespace.workloads and namespace.api.find("Namespace", None, namespace.name) is None:
        return [f"make the namespace {namespace.name}", *(f"start {_label(name)}" for name in wanted.declared.runs)]
    found = []
    for name, manifest in wanted.declared.runs.items():
        if name not in namespace.workloads:
            found.append(f"start {_label(name)}")
        elif namespace.digest(name) != _digest(manifest):
            found.append(f"replace {_label(name)}: its settings changed")
        elif kinds.replicas(namespace.workloads[name]) != kinds.replicas(manifest):
            found.append(f"run {kinds.replicas(manifest)} of {_label(name)}")
        elif name in now and now[name].state not in _WELL:
            found.append(f"start {_label(name)} again: {now[name].reason or now[name].state}")
    return found + [f"end {_label(name)}" for name in namespace.parts() if name not in wanted.declared.runs]


def down(namespace: Namespace, progress: Progress) -> None:
    """End everything that runs, and what only that needed. A claimed workspace stays, and the fences around it."""
    found = namespace.api.find("Namespace", None, namespace.name)
    if found is None or found["metadata"].get("deletionTimestamp"):
        for name in (volume_name(namespace.name, HUB_CLAIM), volume_name(namespace.name)):
            _end_volume(namespace, name)
        return
    namespace.refresh()
    for name in namespace.parts():
        progress(Step(name=name, state="started", detail="stopping"))
    namespace.end(list(namespace.workloads))
    namespace.end_pods(namespace.pods)
    selector = _selector(namespace)
    services = namespace.api.items(
        "Service", namespace.name, labelSelector=selector
    )  # old servers delete none by label
    each_service = [kinds.path("Service", namespace.name, each["metadata"]["name"]) for each in services]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(namespace.api.delete, each_service))
    for kind in ("ConfigMap", "Secret"):  # by label: who ends sessions need not be able to read what is secret in them
        namespace.api.delete(kinds.path(kind, namespace.name), labelSelector=selector)
    where = kinds.path("Namespace", None, namespace.name)
    _end_volume(namespace, volume_name(namespace.name, HUB_CLAIM))
    if _end_volume(namespace, volume_name(namespace.name)):
        namespace.api.delete(where)  # the learner's files are in a folder of this host: nothing in it is missed
    else:
        namespace.api.merge(where, {"metadata": {"labels": {labels.ENDED: "true"}}})


def _end_volume(namespace: Namespace, name: str) -> bool:
    """Whether there was one. An account that may delete no volumes has made none."""
    try:
        return namespace.api.delete(kinds.path("PersistentVolume", None, name))
    except ApiError as error:
        if error.status == 403:
            return False
        raise


def end_services(namespace: Namespace, names: Sequence[str]) -> None:
    """End these parts; the next `up` declares them again."""
    namespace.refresh()
    namespace.end([name for name in namespace.parts(("service",)) if name in names])


def set_expiry(namespace: Namespace, plan: Plan, expires_at: str | None) -> None:
    """Have the namespace say when the session ends: whoever reaps in the cluster asks nothing else."""
    marks, notes = labels.of_plan(plan, namespace.home), labels.notes(expires_at)
    namespace.api.apply(fences.namespace(namespace.name, marks, notes))


def withdraw(namespace: Namespace, handle: Mapping[str, Any], plan: Plan) -> Handle:
    """End what uses the session's GPUs; the handle of what is left. A workspace with GPUs starts again without."""
    left = plan.without_gpus()
    names = {service.name for service in left.services} | {WORKSPACE}
    namespace.refresh()
    namespace.end([name for name in namespace.parts() if name not in names])
    _without_gpus(namespace)
    services = {name: known for name, known in handle["services"].items() if name in names}
    jobs = {service.name: service.is_awaited(left.services) for service in left.services}
    services = {name: {**known, "is_job": jobs.get(name, known["is_job"])} for name, known in services.items()}
    lighter = {**handle, "services": services}
    kept.write(left, lighter, namespace.folder, kept.expires_at(namespace.folder))
    forwards.keep(namespace.folder, namespace.name, services, namespace.api.kubeconfig)
    return lighter


def _without_gpus(namespace: Namespace) -> None:
    """Take the GPUs from the workspace's pod; what it was declared from is then another thing, so that `up` gives them back."""
    from labctl.runtimes.kubernetes.fences import GPU

    workspace = namespace.workloads.get(WORKSPACE)
    if workspace is None:
        return
    container = workspace["spec"]["template"]["spec"]["containers"][0]
    held = [name for name in (container.get("resources") or {}).get("limits") or {} if name.startswith("nvidia.com/")]
    if not held:
        return
    gone = dict.fromkeys([*held, GPU])
    patch = {
        "metadata": {"annotations": {DIGEST: "without GPUs"}},
        "spec": {
            "template": {"spec": {"containers": [{"name": WORKSPACE, "resources": {"limits": gone, "requests": gone}}]}}
        },
    }
    namespace.api.strategic(kinds.path("Deployment", namespace.name, WORKSPACE), patch)


def _bring(wanted: Wanted, namespace: Namespace, progress: Progress) -> tuple[list[str], list[str]]:
    """What was removed and what was started, in a namespace that is there."""
    standing.stand(namespace, [*wanted.declared.stands, *hidden(wanted, namespace)])
    namespace.refresh()
    every = _bringings(wanted, namespace)
    _reclaim(every, namespace)
    removed = _clear(every, namespace, progress)
    return removed, bring_up(namespace, every, progress)


def hidden(wanted: Wanted, namespace: Namespace) -> list[Manifest]:
    """The session's Secret; none when it has no secrets."""
    names = [*manifests.secret_names(wanted.plan, wanted.host), *([JUPYTER_TOKEN] if wanted.host.listens else [])]
    known = secrets.ensure(namespace.folder.root, wanted.plan, *names)
    return [manifests.secret(wanted.plan, known, namespace.home)] if known else []


def _reclaim(every: Sequence[Bringing], namespace: Namespace) -> None:
    """Declare again what somebody else has changed. Raises ApiError, with who it was, for what we declare otherwise."""
    for each in every:
        if each.is_there and kinds.is_touched(namespace.workloads[each.name], MANAGER):
            namespace.api.apply(each.manifest)


def _bringings(wanted: Wanted, namespace: Namespace) -> list[Bringing]:
    plan, found = wanted.plan, []
    for manifest in wanted.declared.builds:
        found.append(_bringing(wanted, namespace, manifest, must_complete=True, timeout_s=BUILD_S))
    for manifest in wanted.declared.runs.values():
        name = manifest["metadata"]["name"]
        completes = any(
            other.depends_on[name].condition == "service_completed_successfully"
            for other in plan.services
            if name in other.depends_on
        )
        found.append(_bringing(wanted, namespace, manifest, must_complete=completes))
    return found


def _bringing(
    wanted: Wanted, namespace: Namespace, manifest: Manifest, *, must_complete: bool, timeout_s: float | None = None
) -> Bringing:
    name = manifest["metadata"]["name"]
    service = wanted.plan.service(name)
    known: Mapping[str, Any] = wanted.handle["services"].get(name, {})
    check = known.get("healthcheck")
    is_job = bool(known.get("is_job", timeout_s is not None))
    default_s = JOB_S if is_job else WITHOUT_CHECK_S
    return Bringing(
        name=name,
        label=_label(name) if service or name == WORKSPACE else f"model {name.removeprefix('build-')}",
        manifest=manifest,
        check=check,
        needs={other: need.condition for other, need in service.depends_on.items()} if service else {},
        is_job=is_job,
        must_complete=must_complete,
        settles=name != WORKSPACE,
        timeout_s=timeout_s or (float(check["timeout"]) if check else default_s),
        digest=_digest(manifest),
        replicas=kinds.replicas(manifest),
        is_there=name in namespace.workloads and _is_same(namespace.workloads[name], manifest),
    )


def _clear(every: Sequence[Bringing], namespace: Namespace, progress: Progress) -> list[str]:
    """End what is not wanted any more, what a Job was declared from otherwise, and what will not recover; the first by name."""
    wanted = {each.name: each for each in every}
    removed = [name for name in namespace.parts() if name not in wanted]
    broken = [each for each in every if _is_broken(namespace, each)]
    for each in broken:
        each.is_there = False
        progress(Step(name=each.label, state="started", detail="replacing"))
    namespace.end([*removed, *(each.name for each in broken)])
    over = [pod for pod in namespace.pods if pod.role == "check" and (pod.is_over or pod.phase == "Failed")]
    namespace.end_pods(over)
    return removed


def _is_broken(namespace: Namespace, each: Bringing) -> bool:
    """Whether what is there has to go before it can be declared again. A Deployment only drifts, and is rolled by the cluster."""
    if each.name not in namespace.workloads:
        return False
    is_job: bool = namespace.workloads[each.name]["kind"] == "Job"
    if not each.is_there:
        return is_job or each.manifest["kind"] == "Job"
    pod = namespace.pod(each.name)
    if each.replicas > 1 and namespace.ready(each.name):
        return False  # some answer: the cluster brings the others
    if pod is None and unmade.refusal(namespace.workloads[each.name]):
        return True  # the cluster would try again, but later and later
    if pod is None:
        return is_job and not (namespace.workloads[each.name].get("status") or {}).get("succeeded")
    if pod.phase == "Failed" or (pod.phase == "Succeeded" and not each.is_job):
        return is_job
    is_late = pod.running and not pod.ready and namespace.age_s(pod) > each.timeout_s
    return pod.waits == "CrashLoopBackOff" or (is_late and each.check is not None)


def _digest(manifest: Manifest) -> str:
    return str(manifest["metadata"]["annotations"][DIGEST])


def _is_same(live: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether it was declared like this, and nobody has scaled it."""
    known = (live["metadata"].get("annotations") or {}).get(DIGEST, "")
    return known == _digest(manifest) and kinds.replicas(live) == kinds.replicas(manifest)


def _label(name: str) -> str:
    return "the workspace" if name == WORKSPACE else f"service {name}"


def _selector(namespace: Namespace) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.of_session(namespace.session, namespace.home).items())
