"""Where labctl's settings come from: flag > environment > `~/.config/labctl/config.toml` > default."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from labctl.errors import UsageError
from labctl.names import learner_id
from labctl.units import parse_duration

MIN_IDLE_TIMEOUT_S = 60.0
RUNTIMES = ("local", "docker", "kubernetes")
PROFILES = ("cpu", "gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting with the place that gave it: `environment`, `file` or `default`."""

    name: str
    value: str | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a GPU costs an hour; `currency` is any word, or empty."""

    amount: float
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """How a cluster finds room for sessions. `gpu_resource` is what its device plugin offers, a MIG slice's name too;
    `device_class` asks by DRA instead; `gpu_product` is a value of nvidia.com/gpu.product; `queue` a ClusterQueue of Kueue.
    """

    gpu_resource: str = "nvidia.com/gpu"
    device_class: str | None = None
    gpu_product: str | None = None
    queue: str | None = None
    priority_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything labctl reads from outside its arguments. `None` means: not set, the code decides."""

    home: Path
    labs: tuple[Path, ...]
    models: Path | None
    runtime: str
    profile: str | None
    database_url: str | None
    nvml_library: str | None
    docker_host: str | None
    """Where Docker's own tools look for the engine too; a name of theirs, hence without our prefix."""
    kubeconfig: str | None
    """The file, or files, that name the cluster, as for kubectl."""
    base_image: str | None
    """What images of docker/ that start from Python or Debian are built on, in the place of the public image."""
    registry: str | None
    """Where the images of docker/ are pulled from, and under which name they are kept; built here when it has none."""
    subnets: str
    """The range of addresses that networks of sessions are cut from."""
    storage_class: str | None
    """Of a cluster, for workspaces; None takes the cluster's default."""
    workspace_volume: str
    """What a workspace is on a cluster: a `claim` of its storage, or a folder of this `host` that all nodes see at the same path."""
    scheduling: Scheduling
    idle_timeout_s: float | None
    """After so long without use a new session's GPU goes back; None is never."""
    gpu_hour_price: Price | None
    learner: str
    workspaces: Path
    origins: tuple[Setting, ...]


_DEFAULTS: dict[str, str | None] = {
    "LABCTL_HOME": "~/.local/share/labctl",
    "LABCTL_LABS": None,
    "LABCTL_RUNTIME": "local",
    "LABCTL_PROFILE": None,
    "LABCTL_DATABASE_URL": None,
    "LABCTL_NVML_LIBRARY": None,
    "LABCTL_MODELS": None,
    "LABCTL_BASE_IMAGE": None,
    "LABCTL_REGISTRY": None,
    "LABCTL_SUBNETS": "10.213.0.0/16",
    "LABCTL_STORAGE_CLASS": None,
    "LABCTL_WORKSPACE_VOLUME": "claim",
    "LABCTL_GPU_RESOURCE": "nvidia.com/gpu",
    "LABCTL_GPU_DEVICE_CLASS": None,
    "LABCTL_GPU_PRODUCT": None,
    "LABCTL_KUEUE_QUEUE": None,
    "LABCTL_PRIORITY_CLASS": None,
    "LABCTL_IDLE_TIMEOUT": "1h",
    "LABCTL_GPU_HOUR_PRICE": None,
    "DOCKER_HOST": None,
    "KUBECONFIG": None,
    "LABCTL_WORKSPACES": "~/labctl",
    "LABCTL_LEARNER": None,
}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises UsageError when the file is not TOML or a value is not one that is accepted."""
    environ = os.environ if environ is None else environ
    file = _read(config_path(environ))
    chosen = {name: _choose(name, environ, file) for name in _DEFAULTS}
    value = {name: setting.value for name, setting in chosen.items()}
    _one_of(chosen["LABCTL_RUNTIME"], RUNTIMES)
    _one_of(chosen["LABCTL_WORKSPACE_VOLUME"], ("claim", "host"))
    if value["LABCTL_PROFILE"]:
        _one_of(chosen["LABCTL_PROFILE"], PROFILES)
    models = _paths(chosen["LABCTL_MODELS"])
    return Settings(
        home=_home(chosen["LABCTL_HOME"]),
        labs=_paths(chosen["LABCTL_LABS"]),
        models=models[0] if models else None,
        runtime=value["LABCTL_RUNTIME"] or "local",
        profile=value["LABCTL_PROFILE"],
        database_url=value["LABCTL_DATABASE_URL"],
        nvml_library=value["LABCTL_NVML_LIBRARY"],
        docker_host=value["DOCKER_HOST"],
        kubeconfig=value["KUBECONFIG"],
        base_image=value["LABCTL_BASE_IMAGE"],
        subnets=_subnets(chosen["LABCTL_SUBNETS"]),
        storage_class=value["LABCTL_STORAGE_CLASS"],
        workspace_volume=value["LABCTL_WORKSPACE_VOLUME"] or "claim",
        scheduling=_scheduling(chosen),
        registry=(value["LABCTL_REGISTRY"] or "").rstrip("/") or None,
        idle_timeout_s=_idle_timeout_s(chosen["LABCTL_IDLE_TIMEOUT"]),
        gpu_hour_price=_price(chosen["LABCTL_GPU_HOUR_PRICE"]),
        learner=learner_id(value["LABCTL_LEARNER"] or _user(environ)),
        workspaces=_path(chosen["LABCTL_WORKSPACES"]),
        origins=tuple(chosen.values()),
    )


def config_path(environ: Mapping[str, str]) -> Path | None:
    """The settings file, which need not exist; None for a user without a home folder."""
    try:
        return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "labctl" / "config.toml"
    except RuntimeError:  # no HOME, and no passwd entry to take it from
        return None


def _choose(name: str, environ: Mapping[str, str], file: Mapping[str, object]) -> Setting:
    if environ.get(name):
        return Setting(name=name, value=environ[name], origin="environment")
    if name in file:
        return Setting(name=name, value=_text(name, file[name]), origin="file")
    return Setting(name=name, value=_DEFAULTS[name], origin="default")


def _read(path: Path | None) -> Mapping[str, object]:
    if path is None or not path.exists():
        return {}
    import tomllib  # most people have no such file, and every command would load it

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "mend its permissions, or remove it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", 'write lines such as LABCTL_RUNTIME = "local"') from error
    unknown = next((name for name in values if name not in _DEFAULTS), None)
    if unknown is not None:
        raise UsageError(f"{path}: there is no setting {unknown!r}", _nearest(unknown))
    return values


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.upper(), _DEFAULTS, n=1)
    return f"did you mean {near[0]}?" if near else f"it may hold: {', '.join(_DEFAULTS)}"


def _text(name: str, value: object) -> str:
    """A value of the file as the environment would hold it: folders of labs may be a list there."""
    if name == "LABCTL_LABS" and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return os.pathsep.join(value)
    if isinstance(value, list | dict):
        raise UsageError(f"{name} is {value!r} (from the file)", f'write it as one value: {name} = "…"')
    return str(value)


def _one_of(setting: Setting, accepted: tuple[str, ...]) -> None:
    if setting.value not in accepted:
        raise UsageError(
            f"{setting.name} is {setting.value!r} (from the {setting.origin})", f"use one of: {', '.join(accepted)}"
        )


def idle_timeout_s(text: str) -> float | None:
    """Seconds in a duration of at least 1m; None for `never`. Raises ValueError."""
    if text == "never":
        return None
    seconds = parse_duration(text)
    if seconds < MIN_IDLE_TIMEOUT_S:
        raise ValueError(f"{text} is less than 1m")
    return seconds


def _idle_timeout_s(setting: Setting) -> float | None:
    try:
        return idle_timeout_s(setting.value or "never")
    except ValueError as error:
        what = f"{setting.name} (from the {setting.origin}): {error}"
        raise UsageError(what, f"for example {setting.name}=30m, or never") from error


_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def _scheduling(chosen: Mapping[str, Setting]) -> Scheduling:
    resource = chosen["LABCTL_GPU_RESOURCE"]
    if not _RESOURCE.fullmatch(resource.value or ""):
        what = f"{resource.name} is {resource.value!r} (from the {resource.origin}), which is no resource of a cluster"
        raise UsageError(
            what, "for example nvidia.com/gpu, or nvidia.com/mig-1g.10gb; `kubectl describe node` shows them"
        )
    names = ("LABCTL_GPU_DEVICE_CLASS", "LABCTL_GPU_PRODUCT", "LABCTL_KUEUE_QUEUE", "LABCTL_PRIORITY_CLASS")
    for setting in (chosen[name] for name in names):
        if setting.value and not _NAME.fullmatch(setting.value):
            raise UsageError(
                f"{setting.name} is {setting.value!r} (from the {setting.origin}), which is no name of a cluster's object",
                "at most 63 letters, digits, dots, dashes and underscores",
            )
    device_class, product, queue, priority = (chosen[name].value or None for name in names)
    return Scheduling(
        gpu_resource=str(resource.value),
        device_class=device_class,
        gpu_product=product,
        queue=queue,
        priority_class=priority,
    )


def _price(setting: Setting) -> Price | None:
    if not setting.value:
        return None
    amount, _, currency = setting.value.strip().partition(" ")
    try:
        number = float(amount)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        what = f"{setting.name} is {setting.value!r} (from the {setting.origin}), which is no price of an hour"
        raise UsageError(what, f'for example {setting.name}="2.50 EUR"')
    return Price(amount=number, currency=currency.strip())


def _subnets(setting: Setting) -> str:
    """Only looked at closely where it is not the default: `ipaddress` costs 10 ms."""
    value = setting.value or ""
    if setting.origin == "default":
        return value
    import ipaddress

    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        what = f"{setting.name} is {value!r} (from the {setting.origin}): {error}"
        raise UsageError(what, "give a private range, for example 10.99.0.0/16") from error
    if network.prefixlen > 26 or not network.is_private:
        what = f"{setting.name} is {value!r} (from the {setting.origin}), which is no private range of 64 addresses or more"
        raise UsageError(what, "for example 10.99.0.0/16, which is enough for 1024 sessions")
    return value


def _home(setting: Setting) -> Path:
    """Through every symbolic link: a session's processes are found again by this text in their environment."""
    try:
        return _path(setting).resolve()
    except (RuntimeError, OSError) as error:
        raise _bad_path(setting, "its symbolic links lead in a circle") from error


def _paths(setting: Setting) -> tuple[Path, ...]:
    parts = (setting.value or "").split(os.pathsep) if setting.name == "LABCTL_LABS" else [setting.value or ""]
    return tuple(_path(replace(setting, value=part)) for part in parts if part)


def _path(setting: Setting) -> Path:
    text = setting.value or ""
    try:
        text.encode()
        path = Path(text).expanduser()
    except UnicodeEncodeError as error:
        raise _bad_path(setting, "it is not UTF-8") from error
    except RuntimeError as error:
        raise _bad_path(setting, "there is no such home folder; is HOME set?") from error
    if "\0" in text:
        raise _bad_path(setting, "no path holds a NUL")
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise _bad_path(setting, "it is relative, and the current folder is gone") from error


def _bad_path(setting: Setting, why: str) -> UsageError:
    return UsageError(
        f"{setting.name} is {setting.value!r} (from the {setting.origin}): {why}", f"export {setting.name}=/a/folder"
    )


def _user(environ: Mapping[str, str]) -> str:
    try:
        return environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # a container whose uid has no passwd entry
        return f"uid-{os.getuid()}"
