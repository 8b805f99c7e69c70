"""The same containers as a Compose file: (plan, host) → mapping, from the parts that the runtime makes containers of. Pure.

What has to differ from a session that labctl runs: ports have numbers, since nobody hands out free ones; the learner's user,
secrets and ports are variables; health is asked inside the containers; and a service of its own builds each model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from labctl.errors import PreflightError
from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.images import catalog
from labctl.images.names import PREFIX, is_ours
from labctl.names import SECRET
from labctl.runtimes import hub_models
from labctl.runtimes.docker import ingress, labels
from labctl.runtimes.docker.health import COMMAND_S, PROBE_S
from labctl.runtimes.docker.parts import (
    FRONT_NETWORK,
    HARDENING,
    INTERNAL_NETWORK,
    JUPYTER_CHECK,
    LOG_DRIVER,
    LOG_OPTIONS,
    LOOPBACK,
    MAX_RETRIES,
    NOWHERE,
    NOWHERE_OPTIONS,
    WORKSPACE,
    Host,
    Mount,
    Part,
    build,
    image_of_workspace,
    images,
    parts,
    ports,
)

if TYPE_CHECKING:
    from labctl.gpus.inventory import SharingMode
    from labctl.labs.spec import GpuNeed
    from labctl.plan import ModelStep, Plan, ServicePlan
    from labctl.settings import Settings

_WORKSPACE, _MODELS = "./workspace", "./models"
_SECRET = "LABCTL_SECRET_"  # noqa: S105 - how the names of secrets begin
_UID, _GID = "LABCTL_UID", "LABCTL_GID"
"""Stand for the learner's user until the variables take their place."""
_LEAST_INTERVAL_S = 1.0
"""Compose goes on asking as often after a service is healthy: a lab's quarter of a second would be a load."""
_RETRIES = 3
_HTTP_PROBE = """\
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
has() { command -v "$1" >/dev/null 2>&1; }
if has curl; then exec curl -fs -o /dev/null "http://127.0.0.1:$0$1"; fi
if has bash; then exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1
  printf "GET %s HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n" "$1" >&3; read -r _ code _ <&3
  case $code in [23][0-9][0-9]) ;; *) exit 1 ;; esac' "$0" "$1"; fi
if has wget; then exec wget -q -O /dev/null "http://127.0.0.1:$0$1"; fi
if has python3; then exec python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1])' "http://127.0.0.1:$0$1"; fi
echo "this image has no curl, bash, wget or python3 to ask with"; exit 1
"""
_TCP_PROBE = """\
has() { command -v "$1" >/dev/null 2>&1; }
if has bash; then exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"' "$0"; fi
if has nc; then exec nc -z 127.0.0.1 "$0"; fi
if has python3; then exec python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", sys.argv[1]))' "$0"; fi
echo "this image has no bash, nc or python3 to ask with"; exit 1
"""
_BUILD = """\
made=$0 making=$1; shift
if [ -d "$made" ]; then echo "$made is there"; exit 0; fi
rm -rf "$making" && "$@" && mv "$making" "$made"
"""
"""Beside, and renamed when it is whole: a build that was cut off is begun anew."""


class _Variable(str):
    """Text in which `$` means a variable; in all other text it means itself."""

    __slots__ = ()


def planned_host(plan: Plan, settings: Settings, cpu_count: int) -> Host:
    """The host as a file can know it, no engine asked. Raises PreflightError when a container has no image to run."""
    nameless = next((service.name for service in plan.services if not service.image), None)
    if nameless or not image_of_workspace(plan):
        what = f"services.{nameless}.image" if nameless else "workspace.image"
        raise PreflightError(
            f"{plan.lab} names no image for {'service ' + nameless if nameless else 'its workspace'}",
            f"give {what} in the lab file, for example docker/workspace",
        )
    return Host(
        images={image: catalog.reference(image, plan.profile, settings) for image in images(plan)},
        workspace=_WORKSPACE,
        models=_MODELS,
        local_models=hub_models.on_host(plan.hub_models, settings.models),
        user=f"{_UID}:{_GID}",
        listens=is_ours(plan.workspace.image or ""),
        cpu_count=cpu_count,
        doors=False,
    )


def any_gpus(need: GpuNeed | None) -> Allocation | None:
    """Instead of an allocation, which only a session has: the first GPUs of whatever host the file runs on."""
    sharing: SharingMode = "exclusive"
    if need is None:
        return None
    return Allocation(
        gpus=tuple(HeldGpu(uuid=str(n), name="", memory_mib=None, sharing=sharing) for n in range(need.count))
    )


def compose(plan: Plan, host: Host) -> dict[str, Any]:
    """The whole file: `x-labctl`, services in the plan's order, networks."""
    every = parts(plan, host)
    builders = _builders(plan, host, {part.name for part in every})
    services = {name: _service(plan, part, [], []) for name, part in builders.items()}
    for part in every:
        services[part.name] = _service(plan, part, list(builders), _published(plan, host, part))
    found = {"x-labctl": _about(plan, host), "services": services, "networks": _networks(plan, every)}
    filled: dict[str, Any] = _filled(found)
    return filled


def variables(plan: Plan, host: Host) -> list[tuple[ingress.Route, str, int]]:
    """For each published port: its route, the variable that chooses another one, and the port when none is chosen."""
    routes = ingress.routes(ports(plan, listens=host.listens))
    declared, names, numbers = {route.target for route in routes}, set[str](), set[int]()
    found = []
    for route in routes:
        name = _free(f"LABCTL_PORT_{route.service}_{route.port}".upper().replace("-", "_"), names)
        number = route.target
        if number in numbers:
            number = next(n for n in _others(number) if n not in declared and n not in numbers)
        names.add(name)
        numbers.add(number)
        found.append((route, name, number))
    return found


def secrets(plan: Plan, host: Host) -> list[str]:
    """The variables without which nothing of the file runs, sorted."""
    texts = [text for part in parts(plan, host) for text in (*part.command, *part.environment.values())]
    return sorted({f"{_SECRET}{name}" for text in texts for name in SECRET.findall(text)})


def _others(number: int) -> Iterable[int]:
    """Ports to take when `number` is taken: those above it, then those below."""
    return chain(range(number + 1, 65536), range(1024, number))


def _free(name: str, taken: Iterable[str]) -> str:
    """`name`, or with the first number behind it that nobody has."""
    return name if name not in taken else next(n for i in range(2, 1000) if (n := f"{name}_{i}") not in taken)


def _builders(plan: Plan, host: Host, taken: set[str]) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for model in plan.models:
        part = builder(plan, model, host)
        name = _free(part.name, {*taken, *found})
        found[name] = replace(part, name=name)
    return found


def builder(plan: Plan, model: ModelStep, host: Host) -> Part:
    """What builds a model once, below `/out`, and does nothing when it is there."""
    folder = PurePosixPath(model.path).name
    making = f"/out/.{folder}.making"
    command = [word.replace("{out}", making) for word in model.command]
    part = build(plan, model.model_copy(update={"command": command}), host, Path(host.models))
    return replace(
        part,
        entrypoint=("sh", "-c", _BUILD),
        command=(f"/out/{folder}", making, *command),
        restart="no",
    )


def _service(plan: Plan, part: Part, builders: Sequence[str], published: Sequence[str]) -> dict[str, Any]:
    """One service; keys in the order in which people read them, those that say nothing left out."""
    found = {
        "image": part.image,
        "depends_on": _depends(plan, part, builders),
        "entrypoint": list(part.entrypoint or ()),
        "command": list(part.command),
        "environment": dict(part.environment),
        "hostname": part.name,
        "user": _learner(part.user),
        "working_dir": part.working_dir,
        "volumes": _volumes(part.mounts),
        "tmpfs": [_learner(f"{folder}:{options}") for folder, options in part.tmpfs.items()],
        "ports": list(published),
        **_network(part),
        "healthcheck": _health(plan, part),
        "restart": _restart(part),
        "stop_grace_period": f"{max(1, round(part.grace_s))}s",
        **_limits(part),
        **_gpus(part),
        **HARDENING,
        "ipc": "private",
        "userns_mode": "host",  # where the engine remaps users, files would belong to nobody
        "labels": {**_marks(plan), labels.ROLE: part.role, labels.SERVICE: part.name},
        "logging": {"driver": LOG_DRIVER, "options": dict(LOG_OPTIONS)},
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _depends(plan: Plan, part: Part, builders: Sequence[str]) -> dict[str, Any]:
    service = plan.service(part.name)
    needs = service.depends_on.items() if service else ()
    others = {name: _condition(other, need.condition) for name, need in needs if (other := plan.service(name))}
    has_models = any(mount.source.startswith(f"{_MODELS}/") for mount in part.mounts)
    built = dict.fromkeys(builders if has_models else (), "service_completed_successfully")
    return {name: {"condition": condition} for name, condition in {**built, **others}.items()}


def _condition(other: ServicePlan, wanted: str) -> str:
    """Compose never sees a service healthy that has no health check; to labctl it is as soon as it runs."""
    return "service_started" if wanted == "service_healthy" and other.healthcheck is None else wanted


def _published(plan: Plan, host: Host, part: Part) -> list[str]:
    numbers = {route.listen: (name, number) for route, name, number in variables(plan, host)}
    return [
        _Variable(f"{LOOPBACK}:${{{name}:-{number}}}:{listen}")
        for listen in part.published
        for name, number in [numbers[listen]]
    ]


def _volumes(mounts: Iterable[Mount]) -> list[dict[str, Any]]:
    """In the long form: a folder that is not there is an error then, and not made by the engine as root's."""
    found: list[dict[str, Any]] = []
    for mount in mounts:
        source, target = mount.source, mount.target
        if source.startswith(f"{_MODELS}/"):  # it is made by renaming, which no mount survives: mount what it is in
            source, target = _MODELS, str(PurePosixPath(target).parent)
        source = source if source.startswith(("/", "./")) else f"./{source}"
        volume = {
            "type": "bind",
            "source": source,
            "target": target,
            **({"read_only": True} if mount.read_only else {}),
        }
        if volume not in found:  # all built models are in one folder
            found.append(volume)
    return found


def _network(part: Part) -> dict[str, Any]:
    if part.role == "build":
        return {"network_mode": "none"}
    first = {"front": {"priority": 100}} if part.published else {}  # the way out is the first network's
    nowhere = {} if part.egress else {"dns": [NOWHERE], "dns_opt": list(NOWHERE_OPTIONS)}
    return {"networks": {**first, "lab": {}}, **nowhere}


def _networks(plan: Plan, every: Iterable[Part]) -> dict[str, Any]:
    marks = _marks(plan)
    shut = {} if plan.egress else {"internal": True, "driver_opts": dict(INTERNAL_NETWORK)}
    front = {"front": {"driver": "bridge", "driver_opts": dict(FRONT_NETWORK), "labels": marks}}
    is_published = any(part.published for part in every)
    return {"lab": {"driver": "bridge", **shut, "labels": marks}, **(front if is_published else {})}


def _health(plan: Plan, part: Part) -> dict[str, Any]:
    """Without a check of the lab's none at all: an image's own may look for something else than what runs there."""
    service = plan.service(part.name)
    check: Mapping[str, Any] | None = service.healthcheck.model_dump() if service and service.healthcheck else None
    numbers = dict(service.ports) if service else {}
    if part.role == "workspace" and not part.command:  # the image's own: JupyterLab
        check, numbers = JUPYTER_CHECK, ports(plan, listens=True)[WORKSPACE]
    if check is None:
        return {"disable": True}
    return {
        "test": ["CMD", *_test(check, numbers)],
        "interval": _duration(max(_LEAST_INTERVAL_S, float(check["interval"]))),
        "timeout": _duration(COMMAND_S if check["command"] else PROBE_S),
        "retries": _RETRIES,
        "start_period": _duration(float(check["timeout"])),
    }


def _test(check: Mapping[str, Any], numbers: Mapping[str, int]) -> list[str]:
    if check["command"]:
        return list(check["command"])
    port = str(numbers[check["port"] or next(iter(numbers))])
    return ["sh", "-c", _HTTP_PROBE, port, check["http"]] if check["http"] else ["sh", "-c", _TCP_PROBE, port]


def _restart(part: Part) -> str:
    return {"on-failure": f"on-failure:{MAX_RETRIES}", "always": "unless-stopped"}.get(part.restart, "no")


def _limits(part: Part) -> dict[str, Any]:
    memory = f"{part.memory_mib}m"
    return {
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpus": part.cpus,
        "pids_limit": part.pids,
        "shm_size": f"{part.shm_mib}m",
        "ulimits": part.ulimits,
    }


def _gpus(part: Part) -> dict[str, Any]:
    """GPUs with a UUID are these; those that have but a number are any."""
    if not part.gpus:
        return {}
    which = {"count": len(part.gpus)} if all(id.isdigit() for id in part.gpus) else {"device_ids": list(part.gpus)}
    device = {"driver": "nvidia", **which, "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [device]}}}}


def _marks(plan: Plan) -> dict[str, str]:
    """Not what labctl finds its own sessions by: it leaves these containers alone."""
    return {labels.LAB: plan.lab, labels.LEARNER: plan.learner}


def _about(plan: Plan, host: Host) -> dict[str, Any]:
    ours = {reference: image.removeprefix(PREFIX) for image, reference in host.images.items() if is_ours(image)}
    made = {reference: f"labctl image build {image} --profile {plan.profile}" for reference, image in ours.items()}
    return {"lab": plan.lab, "profile": plan.profile, "images": made}


def _learner(text: str) -> str:
    named = text.replace(_UID, f"${{{_UID}:-1000}}").replace(_GID, f"${{{_GID}:-1000}}")
    return _Variable(named) if named != text else text


def _filled(value: Any) -> Any:
    """Secrets become variables that must be set, variables stay, and every other `$` is doubled: it means itself."""
    if isinstance(value, _Variable):
        return str(value)
    if isinstance(value, str):
        pieces = SECRET.split(value)  # text, name, text, name, … text
        return "".join(_required(piece) if n % 2 else piece.replace("$", "$$") for n, piece in enumerate(pieces))
    if isinstance(value, Mapping):
        return {key: _filled(inner) for key, inner in value.items()}
    return [_filled(inner) for inner in value] if isinstance(value, list) else value


def _required(name: str) -> str:
    return f"${{{_SECRET}{name}:?choose it and write it to .env}}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds == round(seconds) else f"{seconds * 1000:.0f}ms"
