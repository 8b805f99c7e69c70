"""A session's containers on the engine: found by their labels, made hardened, ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.images.engine import CDI_KIND, EngineInfo, engine_errors
from labctl.runtimes import secrets as session_secrets
from labctl.runtimes.docker import labels, toolkit
from labctl.runtimes.docker.parts import (
    HARDENING,
    LOG_DRIVER,
    LOG_OPTIONS,
    LOOPBACK,
    MAX_RETRIES,
    NOWHERE,
    NOWHERE_OPTIONS,
    Part,
)

if TYPE_CHECKING:
    from docker import DockerClient

_MIB = 1024 * 1024
_LOG = {"Type": LOG_DRIVER, "Config": LOG_OPTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Ids of the networks a container may be on; `front` only for an ingress."""

    session: str
    front: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A container as the engine describes it. `status` is the engine's word; `ports` map the container's to the host's."""

    id: str
    name: str
    part: str
    role: str
    digest: str
    status: str
    exit_code: int
    oom_killed: bool
    error: str
    restarts: int
    started_at: datetime | None
    networks: frozenset[str]
    image_id: str
    is_overdue: bool
    """It bears a time by which it should have ended, and that is past."""
    ports: Mapping[int, int] = field(default_factory=dict)


def find(client: DockerClient, session: Mapping[str, str]) -> list[Seen]:
    """Every container with these labels, whatever its state."""
    import docker.errors

    found = []
    with engine_errors():
        for summary in client.api.containers(all=True, filters=labels.matching(session)):
            try:
                found.append(_seen(client.api.inspect_container(summary["Id"])))
            except docker.errors.NotFound:  # removed between the list and the look
                continue
    return found


def look(client: DockerClient, id: str) -> Seen | None:
    """The container as it is now; None when it is gone."""
    import docker.errors

    with engine_errors():
        try:
            return _seen(client.api.inspect_container(id))
        except docker.errors.NotFound:
            return None


def create(
    client: DockerClient,
    part: Part,
    *,
    marks: Mapping[str, str],
    networks: Networks | None,
    secrets: Mapping[str, str],
    info: EngineInfo,
    stdin: bool = False,
    tty: bool = False,
    bindings: Mapping[int, int] | None = None,
) -> str:
    """Make the container, not started; its id. `networks` None leaves it without any. Whoever holds its name keeps it.

    `bindings` says on which ports of this host what it publishes should be; the engine chooses the others.
    """
    config: dict[str, Any] = {
        "image": part.image,
        "command": [session_secrets.fill(word, secrets) for word in part.command] or None,
        "entrypoint": list(part.entrypoint) if part.entrypoint else None,
        "environment": session_secrets.fill_all(part.environment, secrets),
        "working_dir": part.working_dir,
        "user": part.user,
        "hostname": part.name,
        "labels": {**marks, labels.ROLE: part.role, labels.SERVICE: part.name, labels.DIGEST: part.digest},
        "ports": list(part.published) or None,
        "stdin_open": stdin,
        "tty": tty,
        "use_config_proxy": part.egress,  # who has no way out needs no proxy, and its address may hold a password
        "healthcheck": {"test": ["NONE"]},  # labctl asks the lab's own; an image's may be meant for another command
        "host_config": host_config(client, part, info, networks, bindings or {}),
        "networking_config": _attached(client, part, networks),
    }
    with engine_errors():
        config["host_config"]["Tmpfs"] |= _volumes(client, part)
        id = _create_named(client, f"labctl-{marks[labels.SESSION]}-{part.name}", config)
        if networks and networks.front and part.published:
            client.api.connect_container_to_network(id, networks.session)
    return id


def host_config(
    client: DockerClient, part: Part, info: EngineInfo, networks: Networks | None, bindings: Mapping[int, int]
) -> Any:
    """The hardening: no privileges to gain, nothing to write but the workspace and memory, and bounds on all that can be used."""
    api: Any = client.api
    memory = part.memory_mib * _MIB
    limits = {"mem_limit": memory, "memswap_limit": memory} if info.memory_limit else {}
    return api.create_host_config(
        **limits,
        nano_cpus=int(part.cpus * 1e9)
        if info.cpu_limit
        else None,  # a rootless engine that cannot, refuses the container
        pids_limit=part.pids,
        **HARDENING,
        userns_mode="host" if info.userns_remap else None,
        ipc_mode="private",
        shm_size=part.shm_mib * _MIB,
        tmpfs=dict(part.tmpfs),
        mounts=_mounts(part),
        port_bindings={port: (LOOPBACK, bindings.get(port)) for port in part.published},
        publish_all_ports=False,
        network_mode=_first_network(part, networks),
        dns=None if part.egress else [NOWHERE],
        dns_opt=None if part.egress else list(NOWHERE_OPTIONS),
        restart_policy=_restart(part),
        ulimits=_ulimits(part),
        log_config=_LOG,
        device_requests=_gpus(part, info),
    )


def start(client: DockerClient, id: str) -> None:
    """Start it; one that runs stays as it is."""
    with engine_errors():
        client.api.start(id)


def output(client: DockerClient, id: str, command: Sequence[str]) -> str:
    """What `command` writes in a running container."""
    with engine_errors():
        run = client.api.exec_create(id, list(command), stderr=False)["Id"]
        said: bytes = client.api.exec_start(run)
    return said.decode(errors="replace")


def remove(client: DockerClient, id: str, grace_s: float | None) -> None:
    """Stop it within `grace_s` (at once when None) and remove it. Nothing happens when it is gone."""
    import docker.errors

    with engine_errors():
        try:
            if grace_s is not None:
                client.api.stop(id, timeout=max(1, round(grace_s)))
            client.api.remove_container(id, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # its removal is already under way
                raise


def _create_named(client: DockerClient, name: str, config: dict[str, Any]) -> str:
    """The name is for people to read: where it is taken, by whomever, a number goes behind it."""
    import docker.errors

    for number in range(1, 100):
        try:
            made = client.api.create_container(name=name if number == 1 else f"{name}-{number}", **config)
            return str(made["Id"])
        except docker.errors.APIError as error:
            if error.status_code != 409 or "name" not in str(error.explanation):
                raise
    raise docker.errors.DockerException(f"the names {name} to {name}-99 are all taken")


def _attached(client: DockerClient, part: Part, networks: Networks | None) -> Any:
    if networks is None:
        return None
    api: Any = client.api
    endpoint = api.create_endpoint_config(aliases=[part.name])
    return api.create_networking_config({_first_network(part, networks): endpoint})


def _first_network(part: Part, networks: Networks | None) -> str:
    if networks is None:
        return "none"
    return networks.front if networks.front and part.published else networks.session


def _restart(part: Part) -> dict[str, Any]:
    if part.restart == "on-failure":
        return {"Name": "on-failure", "MaximumRetryCount": MAX_RETRIES}
    return {"Name": "unless-stopped" if part.restart == "always" else "no"}


def _mounts(part: Part) -> list[Any]:
    """As values, not words with colons: a path may have one. What is not there is an error, not a new folder of root's."""
    from docker.types import Mount

    return [Mount(each.target, each.source, type="bind", read_only=each.read_only) for each in part.mounts]


def _volumes(client: DockerClient, part: Part) -> dict[str, str]:
    """What the image declares as volumes, in memory: on the host's disk nothing would bound them, or show them."""
    api: Any = client.api
    declared = (api.inspect_image(part.image)["Config"] or {}).get("Volumes") or {}
    taken = {*part.tmpfs, *(mount.target for mount in part.mounts)}
    return {place: part.tmpfs["/tmp"] for place in declared if place.rstrip("/") not in taken}  # noqa: S108 - the container's


def _ulimits(part: Part) -> list[Any]:
    from docker.types import Ulimit

    return [Ulimit(name=name, soft=value, hard=value) for name, value in part.ulimits.items()]


def _gpus(part: Part, info: EngineInfo) -> list[Any] | None:
    """By UUID: through CDI where the engine knows them so, else through NVIDIA's hook; never by a count as well."""
    from docker.types import DeviceRequest

    if not part.gpus:
        return None
    if toolkit.by_cdi(part.gpus, info):
        return [DeviceRequest(driver="cdi", device_ids=[f"{CDI_KIND}={uuid}" for uuid in part.gpus])]
    return [DeviceRequest(device_ids=list(part.gpus), capabilities=[["gpu"]])]


def _seen(container: Mapping[str, Any]) -> Seen:
    state, marks = container["State"], container["Config"]["Labels"] or {}
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return Seen(
        id=container["Id"],
        name=container["Name"].lstrip("/"),
        part=marks.get(labels.SERVICE, ""),
        role=marks.get(labels.ROLE, ""),
        digest=marks.get(labels.DIGEST, ""),
        status=state["Status"],
        exit_code=state["ExitCode"],
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        restarts=container.get("RestartCount", 0),
        started_at=_time(state.get("StartedAt", "")),
        networks=frozenset(each["NetworkID"] for each in networks.values() if each.get("NetworkID")),
        image_id=container["Image"],
        is_overdue=_is_past(marks.get(labels.EXPIRES, "")),
        ports=_published(container),
    )


def _is_past(time: str) -> bool:
    return bool(time) and datetime.fromisoformat(time) < datetime.now(UTC)


def _published(container: Mapping[str, Any]) -> dict[int, int]:
    found: Mapping[str, Sequence[Mapping[str, str]] | None] = (container.get("NetworkSettings") or {}).get(
        "Ports"
    ) or {}
    return {int(port.partition("/")[0]): int(bound[0]["HostPort"]) for port, bound in found.items() if bound}


def _time(text: str) -> datetime | None:
    """The engine gives nanoseconds; the year 1 stands for never."""
    if not text or text.startswith("0001"):
        return None
    head, _, rest = text.partition(".")
    return datetime.fromisoformat(f"{head}.{rest.rstrip('Z')[:6]}+00:00" if rest else head.replace("Z", "+00:00"))
