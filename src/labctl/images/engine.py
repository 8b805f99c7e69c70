"""A Docker engine of this host: how it is found, what it can do, and its troubles in words."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.disk import read_json
from labctl.errors import EngineError, PreflightError

if TYPE_CHECKING:
    from docker import DockerClient

    from labctl.settings import Settings

TIMEOUT_S = 120
"""A loaded engine is slow at networks and removals; one that hangs is told all the same."""
CONNECTIONS = 32
"""As many calls may be under way at once; the SDK's default of 10 makes threads wait for each other."""
_SYSTEM_SOCKET = Path("/var/run/docker.sock")
CDI_KIND = "nvidia.com/gpu"
_START = "start it: `sudo systemctl start docker`; `docker info` must answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself.

    `cdi`: what it knows of NVIDIA's GPUs as CDI devices, by the names behind `nvidia.com/gpu=`; `runtimes`: the names of
    its OCI runtimes, the default one's among them. None where it cannot tell. `kernel` is that of the machine it runs on.
    """

    rootless: bool
    userns_remap: bool
    cdi: frozenset[str] | None
    cgroup_version: str
    memory_limit: bool
    cpu_limit: bool
    cpu_count: int
    memory_mib: int
    storage_driver: str
    root_dir: str
    server_version: str
    api_version: str
    runtimes: frozenset[str] | None = None
    kernel: str = ""


def connect(settings: Settings) -> DockerClient:
    """A client of the engine that answers. Raises PreflightError for an engine elsewhere, EngineError when none answers."""
    url = url_of(settings)
    _knock(url.removeprefix("unix://"))
    with engine_errors():
        import docker  # 0.4 s, which commands without an engine need not pay

        return docker.DockerClient(base_url=url, version="auto", timeout=TIMEOUT_S, max_pool_size=CONNECTIONS)


def url_of(settings: Settings) -> str:
    """Where the engine of this host is, as DOCKER_HOST says it. Raises PreflightError, EngineError."""
    return f"unix://{_socket(settings)}"


def engine_info(client: DockerClient) -> EngineInfo:
    """What the engine can do. Raises EngineError."""
    with engine_errors():
        info: dict[str, Any] = client.info()
        version: dict[str, Any] = client.version()
    security = {part for option in info.get("SecurityOptions") or [] for part in str(option).split(",")}
    return EngineInfo(
        rootless="name=rootless" in security,
        userns_remap="name=userns" in security,
        cdi=_cdi_gpus(info),
        cgroup_version=str(info.get("CgroupVersion", "1")),
        memory_limit=bool(info.get("MemoryLimit")),
        cpu_limit=bool(info.get("CpuCfsQuota")),
        cpu_count=int(info.get("NCPU") or 0),
        memory_mib=int(info.get("MemTotal") or 0) // 2**20,
        storage_driver=str(info.get("Driver", "")),
        root_dir=str(info.get("DockerRootDir", "")),
        server_version=str(info.get("ServerVersion", "")),
        api_version=str(version.get("ApiVersion", "")),
        runtimes=frozenset([*info["Runtimes"], str(info.get("DefaultRuntime", ""))]) if "Runtimes" in info else None,
        kernel=str(info.get("KernelVersion", "")),
    )


def _knock(path: str) -> None:
    """Raise EngineError when nobody listens: at once, and without the SDK, which leaves its own socket open then."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(TIMEOUT_S)
            probe.connect(path)
    except OSError as error:
        raise _unreachable(error, error) from error


def is_present(client: DockerClient, reference: str) -> bool:
    """Whether the engine has the image. Raises EngineError."""
    return size_mib(client, reference) is not None


def size_mib(client: DockerClient, reference: str) -> int | None:
    """How much disk the image takes on the engine, layers shared with others included; None when it is not there."""
    import docker.errors

    with engine_errors():
        try:
            return -(-int(client.images.get(reference).attrs["Size"]) // 2**20)
        except docker.errors.ImageNotFound:
            return None


@contextmanager
def engine_errors() -> Iterator[None]:
    """The one place where the SDK's errors become an EngineError; put it around every use of a client."""
    try:
        yield
    except (ImportError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        translated = _translated(error)
        if translated is None:
            raise
        raise translated from error


def _socket(settings: Settings) -> str:
    if settings.docker_host:
        return _here(settings.docker_host, "DOCKER_HOST is", "unset DOCKER_HOST, or")
    context = _context()
    if context:
        name, host = context
        return _here(host, f"Docker's context {name!r} leads to", "`docker context use default`, or")
    places = [_SYSTEM_SOCKET, *_rootless_sockets()]
    found_here = next((place for place in places if place.exists()), None)
    if found_here is None:
        raise EngineError(
            f"no Docker engine runs here ({' and '.join(map(str, places))}: no such socket)",
            "install Docker (https://docs.docker.com/engine/install/) and start it, "
            "or say where its socket is: export DOCKER_HOST=unix:///…",
        )
    return str(found_here)


def _here(host: str, origin: str, way_out: str) -> str:
    """The path of a socket of this machine. Raises PreflightError for anything else."""
    scheme, found, path = host.partition("://")
    if found and scheme == "unix" and path:
        return path
    raise PreflightError(
        f"{origin} {host!r}, and an engine on another machine cannot mount this one's workspaces",
        f"{way_out} give a socket of this machine: export DOCKER_HOST=unix:///var/run/docker.sock",
    )


def _context() -> tuple[str, str] | None:
    """The context that Docker's own commands would use, and its address; None for the default one.

    Where it is kept: `contexts/meta/<sha256 of its name>/meta.json` (docker/cli, cli/context/store).
    """
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = os.environ.get("DOCKER_CONTEXT") or str(read_json(folder / "config.json").get("currentContext") or "")
    if name in ("", "default"):
        return None
    kept = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    host = read_json(kept).get("Endpoints", {}).get("docker", {}).get("Host", "")
    return name, str(host)


def _rootless_sockets() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime) / "docker.sock"] if runtime else []


def _cdi_gpus(info: Mapping[str, Any]) -> frozenset[str] | None:
    """From API 1.50 on the devices are listed; before that, only the folders that describe them, which are this host's."""
    if isinstance(info.get("DiscoveredDevices"), list):
        ids = [str(device.get("ID", "")) for device in info["DiscoveredDevices"]]
        return frozenset(id.removeprefix(f"{CDI_KIND}=") for id in ids if id.startswith(f"{CDI_KIND}="))
    if "CDISpecDirs" not in info:
        return None
    files = [file for folder in info["CDISpecDirs"] or [] for file in Path(folder).glob("*nvidia*")]
    return frozenset(name for file in files for name in _described(file))


def _described(file: Path) -> list[str]:
    """The GPUs of one CDI description; none of one that cannot be read, which the engine could not either."""
    import yaml

    try:
        values = yaml.safe_load(file.read_text())
        return [str(device["name"]) for device in values["devices"]] if values["kind"] == CDI_KIND else []
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []


def _translated(error: Exception) -> EngineError | None:
    """The error in words; None when it is not one of the engine's."""
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    if isinstance(error, docker.errors.APIError):
        return _refused(error)
    timeouts = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    cause = _os_error(error)
    if any(isinstance(link, timeouts) for link in _chain(error)):
        return EngineError(
            f"the Docker engine did not answer within {TIMEOUT_S} s",
            "it may be busy, or hang: `docker info`; the same command again goes on where this one stopped",
        )
    if isinstance(
        error,
        docker.errors.DockerException
        | requests.exceptions.RequestException
        | urllib3.exceptions.HTTPError
        | ConnectionError,
    ):
        return _unreachable(error, cause)
    return None


def _refused(error: Any) -> EngineError:
    said = str(error.explanation or error).strip()
    if "no space left on device" in said:
        return EngineError(f"the engine's disk is full: {said}", "free some: `docker system df` shows what takes it")
    return EngineError(f"the Docker engine refused: {said}", "`docker info` shows the engine's state")


def _unreachable(error: Exception, cause: OSError | None) -> EngineError:
    if isinstance(cause, PermissionError):
        return EngineError(
            "this user may not speak to the Docker engine: permission denied on its socket",
            "`sudo usermod -aG docker $USER` and log in again (that group is as powerful as root), "
            "or use a rootless engine: https://docs.docker.com/engine/security/rootless/",
        )
    if cause is not None and cause.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return EngineError("the Docker engine is not running: nobody answers on its socket", _START)
    return EngineError(f"the Docker engine cannot be reached: {str(error)[:300]}", _START)


def _os_error(error: BaseException) -> OSError | None:
    """The system's own error below the wrappings of the SDK, requests and urllib3."""
    import requests.exceptions

    wrapped = requests.exceptions.RequestException  # an OSError in name only
    links = (link for link in _chain(error) if isinstance(link, OSError) and not isinstance(link, wrapped))
    return next((link for link in links if link.errno is not None), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and all that it was made from: causes, contexts, and errors among its arguments."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [link.__cause__, link.__context__, *link.args, getattr(link, "reason", None)]
        waiting += [each for each in inner if isinstance(each, BaseException)]
