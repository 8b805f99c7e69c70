"""The containers of a session, as values: what `up` makes, what `render --format compose` writes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from labctl.images.names import INGRESS
from labctl.names import secret
from labctl.runtimes import gpus
from labctl.runtimes.docker import ingress, notebook

if TYPE_CHECKING:
    from labctl.gpus.inventory import Allocation
    from labctl.plan import ModelStep, Plan, ServicePlan

Role = Literal["service", "workspace", "ingress", "check", "build", "job"]
WORKSPACE = "workspace"
INGRESS_NAME = "ingress"
JUPYTER_PORT = 8888
JUPYTER_TOKEN = "JUPYTER_TOKEN"  # noqa: S105 - the name of a secret
JUPYTER_CHECK = {"http": "/api", "tcp": False, "command": None, "port": "http", "timeout": 60.0, "interval": 0.25}
HOME = "/home/learner"
KEPT_FROM_LEARNERS = ("checks", "mutants", "solution", "lab.yaml", "__pycache__")
"""What of a lab no container of the session sees; a check's own container sees `checks`."""
_CHECKS = "/lab/checks"
URL = "LABCTL_URL_"
_IDLE = ("sleep", "infinity")
_INGRESS_MEMORY_MIB = 128
_MAX_PIDS = 512
HARDENING: Mapping[str, Any] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "init": True,
    "privileged": False,
}
"""What every container has, under the names that Compose and the SDK share."""
LOG_DRIVER, LOG_OPTIONS = "json-file", {"max-size": "10m", "max-file": "3"}
LOOPBACK = "127.0.0.1"
"""The only address of the host that ports are published on."""
NOWHERE = "127.0.0.1"
"""As a name server: a container without a way out must not ask the outside through the engine's own resolver either."""
NOWHERE_OPTIONS = ("timeout:1", "attempts:2")
"""Nobody answers there: else each name would take 10 s to be unknown."""
MAX_RETRIES = 3
"""After as many failures in a row a container stays down, so that somebody sees it."""
INTERNAL_NETWORK = {"com.docker.network.bridge.inhibit_ipv4": "true"}
"""Options of a session's network without egress: not even the host has an address on it."""
FRONT_NETWORK = {
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "false",
}
"""Options of the network that ports are published on: its containers do not see each other, and have no way out."""
_FORM = 1
"""Raise it when containers are made another way from the same values: those that run are then replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the host in a container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a plan does not know: where things are on this host, and what the engine is able to do.

    `images` maps what a lab file names to what the engine has; `user` is uid:gid inside containers; `listens` tells
    whether the workspace's image serves JupyterLab; `models` is the folder of built models, `local_models` hub id → folder.
    `shown` names what of the lab's folder is mounted, None for all there is now; `doors` tells whether health checks come in
    through the ingress; `cdi` whether the session's GPUs come as CDI devices.
    """

    images: Mapping[str, str]
    workspace: str
    models: str
    local_models: Mapping[str, str] = field(default_factory=dict)
    user: str
    listens: bool
    cpu_count: int
    shown: Sequence[str] | None = None
    doors: bool = True
    cdi: bool = False

    def image(self, name: str) -> str:
        """What the engine has for it; "" where the lab file names none, which preflight refuses."""
        return self.images[name] if name else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One container. Memory in MiB; `published` are ports of the ingress; an empty `command` is the image's own."""

    name: str
    role: Role
    image: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    working_dir: str | None
    user: str
    memory_mib: int
    cpus: float
    pids: int = _MAX_PIDS
    file_mib: int = 0
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    restart: Literal["no", "on-failure", "always"] = "no"
    grace_s: float = 10.0
    published: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    egress: bool = False

    @property
    def digest(self) -> str:
        """Another one for everything that makes it another container; an added service's URL is no reason to end a shell."""
        lasting = {name: value for name, value in self.environment.items() if not name.startswith(URL)}
        return hashlib.sha256(
            json.dumps([_FORM, {**asdict(self), "environment": lasting}], sort_keys=True).encode()
        ).hexdigest()

    @property
    def shm_mib(self) -> int:
        return min(1024, max(64, self.memory_mib // 4))

    @property
    def ulimits(self) -> dict[str, int]:
        """Bounds by name, hard and soft alike, sizes in bytes."""
        return {"core": 0, **({"fsize": self.file_mib * 2**20} if self.file_mib else {})}


def parts(plan: Plan, host: Host, ways: Sequence[ingress.Route] | None = None) -> list[Part]:
    """Everything that runs as long as the session does: services in the plan's order, workspace, ingress.

    `ways` are the ingress's routes when they are not those of the plan.
    """
    found = [_service(plan, service, host) for service in plan.services]
    if plan.workspace.image:
        found.append(_workspace(plan, host))
    ways = routes(plan, host) if ways is None else ways
    if ways:
        found.append(_ingress(host, ways))
    return found


def routes(plan: Plan, host: Host) -> list[ingress.Route]:
    """The ways into the session, with a door wherever a health check asks over HTTP."""
    asked = {(WORKSPACE, "http")} if host.listens else set()
    for service in plan.services:
        check = service.healthcheck
        if check and check.http and service.ports:
            asked.add((service.name, check.port or next(iter(service.ports))))
    return ingress.routes(ports(plan, listens=host.listens), asked if host.doors else ())


def ports(plan: Plan, *, listens: bool) -> dict[str, dict[str, int]]:
    """The ports of each part that has some, by name."""
    found = {service.name: dict(service.ports) for service in plan.services if service.ports}
    return {**found, WORKSPACE: {"http": JUPYTER_PORT}} if listens and plan.workspace.image else found


def check(plan: Plan, host: Host) -> Part:
    """What a command of a check runs in: the workspace anew, without anything that the learner left running in it."""
    checks = Path(plan.lab_path, "checks")
    more = (Mount(source=str(checks), target=_CHECKS),) if checks.is_dir() else ()
    inner = _workspace(plan.model_copy(update={"notebook": None}), host)
    return replace(inner, name="check", role="check", mounts=(*inner.mounts, *more), restart="no")


def job(
    check: Part, name: str, command: Sequence[str], own: Mapping[str, str], held: Allocation | None, *, cdi: bool
) -> Part:
    """What a command that borrows GPUs runs in: the workspace anew, as `check` has it, without what only checks see.

    `own` is what the lab file says of the workspace's environment: its word is the last.
    """
    told = {"NVIDIA_VISIBLE_DEVICES": "void", **_gpu(held, cdi=cdi)}
    return replace(
        check,
        name=name,
        role="job",
        command=tuple(command[1:]),
        entrypoint=(command[0],),
        environment={**gpus.without(check.environment), **told, **own},
        mounts=tuple(mount for mount in check.mounts if mount.target != _CHECKS),
        gpus=_gpu_ids(held),
    )


def revived(values: Mapping[str, Any]) -> Part:
    """The part that `asdict` and JSON have made `values` of."""
    mounts = tuple(Mount(**mount) for mount in values["mounts"])
    lists = {name: tuple(values[name]) for name in ("command", "published", "gpus")}
    entrypoint = None if values["entrypoint"] is None else tuple(values["entrypoint"])
    return Part(**{**values, **lists, "mounts": mounts, "entrypoint": entrypoint})


def build(plan: Plan, model: ModelStep, host: Host, out: Path) -> Part:
    """What builds a model: no network, and of the host only the model's recipe, what that imports, and the folder that it writes to."""
    modules = {folder: f"/modules/{number}" for number, folder in enumerate(model.modules)}
    return replace(
        _workspace(plan, host),
        name=f"build-{model.name}",
        role="build",
        image=host.image(image_of_env(plan, model.env)),
        command=tuple(word.replace("{out}", "/out/model") for word in model.command[1:]),
        entrypoint=(model.command[0],),
        environment={**_everywhere(plan), "PYTHONPATH": ":".join(modules.values()), "CUDA_VISIBLE_DEVICES": ""},
        mounts=(
            Mount(source=model.folder, target="/recipe"),
            *(Mount(source=folder, target=place) for folder, place in modules.items()),
            Mount(source=str(out), target="/out", read_only=False),
        ),
        working_dir="/recipe",
        restart="no",
        gpus=(),
        egress=False,
    )


def images(plan: Plan) -> list[str]:
    """What a lab file names as images and a session needs, in order, once each."""
    own = [plan.workspace.image, *(service.image for service in plan.services)]
    needs_ingress = plan.workspace.image or any(service.ports for service in plan.services)
    return list(dict.fromkeys([*([INGRESS] if needs_ingress else []), *(image for image in own if image)]))


def shown(lab: Path) -> list[str]:
    """What of a lab's folder a session's containers see."""
    return sorted(entry.name for entry in (lab.iterdir() if lab.is_dir() else ()) if _is_shown(entry))


def image_of_workspace(plan: Plan) -> str:
    """The image that the learner's commands run in: the workspace's, else that of the first service with one."""
    return plan.workspace.image or next((service.image for service in plan.services if service.image), "")


def image_of_env(plan: Plan, env: str) -> str:
    """An image of the plan that contains the environment `env`; the workspace's when none says so."""
    users = [(plan.workspace.env, plan.workspace.image), *((s.env, s.image) for s in plan.services)]
    return next((image for name, image in users if name == env and image), image_of_workspace(plan))


def _service(plan: Plan, service: ServicePlan, host: Host) -> Part:
    gpu = _gpu(plan.allocation, cdi=host.cdi) if service.gpu else {}
    return Part(
        name=service.name,
        role="service",
        image=host.image(service.image or ""),
        command=tuple(service.command),
        environment={**_everywhere(plan), **gpu, **service.environment, "LABCTL_SERVICE": service.name},
        mounts=_mounts(plan, host),
        working_dir=service.working_dir or (plan.workspace.path if service.command else None),
        user=host.user,
        memory_mib=service.mem_limit or plan.memory_mib,
        cpus=_cpus(plan, host),
        file_mib=plan.disk_mib,
        tmpfs=_tmpfs(plan, host.user, service.tmpfs),
        restart="no" if service.is_awaited(plan.services) else service.restart,
        grace_s=service.stop_grace_period,
        gpus=_gpu_ids(plan.allocation) if service.gpu else (),
        egress=plan.egress,
    )


def _workspace(plan: Plan, host: Host) -> Part:
    urls = {
        f"{URL}{service.name.upper().replace('-', '_')}": f"http://{service.name}:{port}"
        for service in plan.services
        for port in list(service.ports.values())[:1]
    }
    way_in = _way_in(plan) if host.listens else {}
    return Part(
        name=WORKSPACE,
        role="workspace",
        image=host.image(image_of_workspace(plan)),
        command=() if host.listens else _IDLE,
        environment={
            **_everywhere(plan),
            **_gpu(plan.allocation, cdi=host.cdi),
            **urls,
            **way_in,
            **plan.workspace.environment,
        },
        mounts=(*_mounts(plan, host), *_door(plan, host)),
        working_dir=plan.workspace.path,
        user=host.user,
        memory_mib=plan.memory_mib,
        cpus=_cpus(plan, host),
        file_mib=plan.disk_mib,
        tmpfs=_tmpfs(plan, host.user, ()),
        restart="always",  # "Shut Down" in JupyterLab ends it with 0
        grace_s=2.0,
        gpus=_gpu_ids(plan.allocation),
        egress=plan.egress,
    )


def _way_in(plan: Plan) -> dict[str, str]:
    """Who may come in to JupyterLab: whom the portal knows, or whoever has the token."""
    if plan.notebook:
        return notebook.environment(plan.notebook, JUPYTER_PORT)
    return {JUPYTER_TOKEN: secret(JUPYTER_TOKEN.lower().replace("_", "-"))}


def _door(plan: Plan, host: Host) -> tuple[Mount, ...]:
    is_told = plan.notebook and plan.notebook.door and host.listens
    return (Mount(source=plan.notebook.door, target=notebook.DOOR),) if plan.notebook and is_told else ()


def _ingress(host: Host, routes: Sequence[ingress.Route]) -> Part:
    return Part(
        name=INGRESS_NAME,
        role="ingress",
        image=host.images[INGRESS],
        command=(),
        environment={"HAPROXY_CONFIG": ingress.configuration(routes), "NVIDIA_VISIBLE_DEVICES": "void"},
        mounts=(),
        working_dir=None,
        user="10001:10001",
        memory_mib=_INGRESS_MEMORY_MIB,
        cpus=min(1.0, float(host.cpu_count)),
        pids=64,
        tmpfs={"/tmp": "rw,nosuid,nodev,noexec,size=8m,mode=1777"},  # noqa: S108 - its own, in memory
        restart="always",
        grace_s=1.0,
        published=(*(route.listen for route in routes), *(route.door for route in routes if route.door)),
    )


def _everywhere(plan: Plan) -> dict[str, str]:
    """What every process of the session is told. No PATH: that is the image's."""
    values = {
        "HOME": HOME,
        "USER": "learner",  # the uid has no name in the image, and libraries ask for one
        "LOGNAME": "learner",
        "LABCTL_SESSION": plan.session,
        "LABCTL_LAB": plan.lab,
        "PYTHONUNBUFFERED": "1",
        "NVIDIA_VISIBLE_DEVICES": "void",  # CUDA images say "all", and the runtime would obey
    }
    return {**values, **plan.model_environment}


def _gpu(allocation: Allocation | None, *, cdi: bool) -> dict[str, str]:
    """A CDI device does all the work; NVIDIA's hook obeys this variable too, which must not take the GPUs away again."""
    ids = _gpu_ids(allocation)
    named = {} if cdi else {"NVIDIA_VISIBLE_DEVICES": ",".join(ids)}
    return {**gpus.environment(allocation), **named} if ids else {}


def _gpu_ids(allocation: Allocation | None) -> tuple[str, ...]:
    return tuple(gpu.uuid for gpu in allocation.gpus) if allocation else ()


def _cpus(plan: Plan, host: Host) -> float:
    return min(plan.cpus, float(host.cpu_count))


def _tmpfs(plan: Plan, user: str, more: Sequence[str]) -> dict[str, str]:
    """What can be written besides the workspace; all of it is memory, and counts as the container's."""
    uid, _, gid = user.partition(":")
    own = f"rw,nosuid,nodev,exec,uid={uid},gid={gid or uid},mode=0700"
    size_mib = max(16, min(1024, plan.memory_mib // 4))
    shared = f"rw,nosuid,nodev,exec,size={size_mib}m,mode=1777"
    return {"/tmp": shared, HOME: f"{own},size={size_mib}m", **dict.fromkeys(more, f"{own},size={size_mib}m")}  # noqa: S108


def _mounts(plan: Plan, host: Host) -> tuple[Mount, ...]:
    lab = Path(plan.lab_path)
    names = shown(lab) if host.shown is None else host.shown
    built = [Mount(source=f"{host.models}/{PurePosixPath(m.path).name}", target=m.path) for m in plan.models]
    built += [Mount(source=local, target=plan.hub_models[name]) for name, local in host.local_models.items()]
    return (
        Mount(source=host.workspace, target=plan.workspace.path, read_only=False),
        *(Mount(source=str(lab / name), target=f"/lab/{name}") for name in names),
        *built,
    )


def _is_shown(entry: Path) -> bool:
    is_plain = not entry.is_symlink() and (entry.is_dir() or entry.is_file())
    return is_plain and not entry.name.startswith(".") and entry.name not in KEPT_FROM_LEARNERS
