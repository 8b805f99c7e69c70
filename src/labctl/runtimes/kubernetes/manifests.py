"""(plan, images) → the manifests of a session, in the order in which they are applied. Pure but for reading the lab's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.images.names import is_ours
from labctl.runtimes.docker import notebook
from labctl.runtimes.docker.compose import builder, planned_host
from labctl.runtimes.docker.labels import DIGEST, SERVICE
from labctl.runtimes.docker.parts import (
    JUPYTER_CHECK,
    MAX_RETRIES,
    WORKSPACE,
    Host,
    Part,
    image_of_workspace,
    parts,
    ports,
    shown,
)
from labctl.runtimes.kubernetes import fences, folders, labels
from labctl.runtimes.kubernetes import scheduling as schedule
from labctl.runtimes.kubernetes import storage as storages
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.pods import (
    LAB_FILES,
    MODELS_CLAIM,
    SECRETS,
    USER,
    WORKSPACE_CLAIM,
    Pod,
    secrets_of,
    template,
)
from labctl.runtimes.kubernetes.scheduling import ANYWHERE
from labctl.runtimes.kubernetes.storage import Storage
from labctl.settings import Scheduling

if TYPE_CHECKING:
    from labctl.plan import ModelStep, Plan, ServicePlan
    from labctl.runtimes.kubernetes.folders import Folder
    from labctl.settings import Settings

_MODELS = "/models"
CLAIMED = Storage()
_MANY_CPUS = 1024
"""A cluster's node says itself how many it has."""


def cluster_host(plan: Plan, settings: Settings) -> Host:
    """What the parts of a session are made with in a cluster. Raises PreflightError when a container has no image."""
    return replace(planned_host(plan, settings, _MANY_CPUS), user=f"{USER}:{USER}", local_models={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A session's manifests: `namespace` first, then what stands (in this order), the models' builds, and what runs by part."""

    namespace: Manifest
    stands: list[Manifest]
    builds: list[Manifest]
    runs: dict[str, Manifest]

    @property
    def all(self) -> list[Manifest]:
        return [self.namespace, *self.stands, *self.builds, *self.runs.values()]


def declared(
    plan: Plan,
    host: Host,
    *,
    home: str = "",
    expires_at: str | None = None,
    storage: Storage = CLAIMED,
    scheduling: Scheduling = ANYWHERE,
) -> Declared:
    """Everything but the values of secrets. Raises LabFileError for a lab whose files do not fit into ConfigMaps."""
    name, marks = labels.namespace(plan.session, home), labels.of_plan(plan, home)
    every = session_parts(plan, host)
    counted = [part for part in every for _ in range(_replicas(plan, part))]
    builders = [builder(plan, model, host) for model in plan.models]
    recipes = [_recipe(model) for model in plan.models]
    files = folders.read(LAB_FILES, Path(plan.lab_path), shown(Path(plan.lab_path)))
    claims = len(storages.names(plan, storage))
    stands = [
        fences.quota(
            [*every, *builders],
            claims=claims,
            storage_mib=plan.disk_mib * claims,
            gpus=_gpus(every),
            gpu_resource=scheduling.gpu_resource,
        ),
        fences.limit_range(),
        *fences.policies(egress=plan.egress, portal=plan.notebook is not None),
        *storages.claims(plan, storage, name, _keeper(plan, host)),
        *(each for folder in [files, *(f for recipe in recipes for f in recipe)] for each in folder.manifests()),
        *_services(plan, host),
        *schedule.queue(scheduling),
        *schedule.claim_templates(every, plan.gpu, scheduling),
    ]
    return Declared(
        namespace=fences.namespace(name, marks, labels.notes(expires_at)),
        stands=[fences.marked(each, name, marks) for each in stands],
        builds=[
            fences.marked(_build(part, recipe, marks), name, marks)
            for part, recipe in zip(builders, recipes, strict=True)
        ],
        runs={
            part.name: fences.marked(_runs(plan, part, files, marks, len(counted), storage, scheduling), name, marks)
            for part in every
        },
    )


def _keeper(plan: Plan, host: Host) -> dict[str, str]:
    return {storages.IMAGE: host.image(image_of_workspace(plan)), storages.USER: host.user}


def session_parts(plan: Plan, host: Host) -> list[Part]:
    """What runs as long as the session does. A GPU is for one pod: the workspace has it only where no service asks for it."""
    found = [part for part in parts(plan, host, ways=()) if part.role != "ingress"]
    served = any(part.gpus for part in found if part.role == "service")
    return [replace(part, gpus=()) if served and part.role == WORKSPACE else part for part in found]


def secret_names(plan: Plan, host: Host) -> list[str]:
    """The keys that the Secret must have before anything starts; none when the session has no secrets."""
    return secrets_of(
        [text for part in session_parts(plan, host) for text in (*part.command, *part.environment.values())]
    )


def secret(plan: Plan, values: Mapping[str, str], home: str) -> Manifest:
    """The session's secrets."""
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRETS}, "stringData": dict(values)}
    return fences.marked(made, labels.namespace(plan.session, home), labels.of_plan(plan, home))


def _gpus(every: Sequence[Part]) -> int:
    return sum(len(part.gpus) for part in every)


def _replicas(plan: Plan, part: Part) -> int:
    service = plan.service(part.name)
    return service.replicas if service else 1


def _services(plan: Plan, host: Host) -> Iterator[Manifest]:
    """A name and an address for each part that listens: the lab's services find each other as they do in containers."""
    for name, numbers in ports(plan, listens=host.listens).items():
        entries = [
            {"name": port, "port": number, "targetPort": number, "protocol": "TCP"} for port, number in numbers.items()
        ]
        selector = {SERVICE: name}
        spec = {"type": "ClusterIP", "selector": selector, "ports": entries}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _runs(
    plan: Plan,
    part: Part,
    files: Folder,
    marks: Mapping[str, str],
    share: int,
    storage: Storage,
    scheduling: Scheduling,
) -> Manifest:
    service = plan.service(part.name)
    once = service is not None and service.is_awaited(plan.services)
    check, numbers = _health(plan, part)
    pod = Pod(
        part=part,
        check=check,
        ports=numbers,
        awaits=_awaits(plan, service),
        models=[model.path for model in plan.models],
        volumes=[
            _claim(WORKSPACE_CLAIM),
            files.volume(),
            *([_claim(MODELS_CLAIM)] if plan.models else []),
            *storages.hub_volumes(storage),
        ],
        mounts=_mounts(plan, storage),
        workspace=plan.workspace.path,
        once=once,
        revive=not once and (service is None or service.owner == "lab"),
        gpu=plan.gpu,
        share=share,
        replicas=_replicas(plan, part),
        scheduling=scheduling,
        seeded=storage.folder is None,
    )
    made = _job(pod, marks) if once else _deployment(pod, marks)
    return schedule.queued(made, scheduling) if part.gpus else made


def _health(plan: Plan, part: Part) -> tuple[Mapping[str, Any] | None, Mapping[str, int]]:
    service = plan.service(part.name)
    if service:
        return service.healthcheck.model_dump() if service.healthcheck else None, dict(service.ports)
    if not part.command:  # the image's own: JupyterLab
        check = notebook.healthcheck(plan.notebook, JUPYTER_CHECK) if plan.notebook else JUPYTER_CHECK
        return check, ports(plan, listens=True)[WORKSPACE]
    return None, {}


def _awaits(plan: Plan, service: ServicePlan | None) -> list[tuple[str, int]]:
    """The services that must be healthy first, by a port that answers; one without a port cannot be asked from outside."""
    needs = service.depends_on.items() if service else ()
    others = [other for name, need in needs if need.condition == "service_healthy" and (other := plan.service(name))]
    return [(other.name, next(iter(other.ports.values()))) for other in others if other.ports]


def _mounts(plan: Plan, storage: Storage) -> list[dict[str, Any]]:
    models = [{"name": MODELS_CLAIM, "mountPath": _MODELS, "readOnly": True}] if plan.models else []
    return [
        storages.workspace_mount(storage, plan.workspace.path),
        {"name": LAB_FILES, "mountPath": "/lab", "readOnly": True},
        *models,
        *storages.hub_mounts(storage),
    ]


def _claim(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}


def _recipe(model: ModelStep) -> list[Folder]:
    """The model's recipe, then the folders that its programs import from."""
    name = f"model-{model.digest[:12]}"
    own = folders.read(name, Path(model.folder))
    return [own, *(folders.read(f"{name}-{n}", Path(folder)) for n, folder in enumerate(model.modules))]


def _build(part: Part, recipe: Sequence[Folder], marks: Mapping[str, str]) -> Manifest:
    """What builds a model, once, into the volume that all others read models from."""
    places = [mount.target for mount in part.mounts if mount.target != "/out"]
    mounts = [
        {"name": folder.name, "mountPath": place, "readOnly": True}
        for folder, place in zip(recipe, places, strict=True)
    ]
    pod = Pod(
        part=replace(part, gpus=(), name=part.name[:50].rstrip("-")),
        volumes=[_claim(MODELS_CLAIM), *(folder.volume() for folder in recipe)],
        mounts=[{"name": MODELS_CLAIM, "mountPath": "/out"}, *mounts],
        once=True,
    )
    return _job(pod, marks, retries=MAX_RETRIES)


def _deployment(pod: Pod, marks: Mapping[str, str]) -> Manifest:
    made, name = template(pod, marks), pod.part.name
    spec = {
        "replicas": pod.replicas,
        "revisionHistoryLimit": 1,
        "strategy": _strategy(pod),
        "selector": {"matchLabels": {SERVICE: name}},
        "template": made,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(pod, made), "spec": spec}


def _strategy(pod: Pod) -> dict[str, Any]:
    """One is ended before its successor is made: a GPU and a quota have no room for two. Of more, all answer meanwhile; where
    each has a GPU, all but one.
    """
    if pod.replicas == 1:
        return {"type": "Recreate"}
    spare = {"maxUnavailable": 1, "maxSurge": 0} if pod.part.gpus else {"maxUnavailable": 0, "maxSurge": 1}
    return {"type": "RollingUpdate", "rollingUpdate": spare}


def _job(pod: Pod, marks: Mapping[str, str], retries: int = 0) -> Manifest:
    made = template(pod, marks)
    spec = {"backoffLimit": retries, "template": made}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(pod, made), "spec": spec}


def _metadata(pod: Pod, made: Manifest) -> dict[str, Any]:
    part = pod.part
    return {
        "name": part.name,
        "labels": labels.of_part(part.name, part.role),
        "annotations": {DIGEST: made["metadata"]["annotations"][DIGEST]},
    }


def is_listening(plan: Plan) -> bool:
    """Whether the workspace is opened in a browser."""
    return is_ours(plan.workspace.image or "")
