"""Where labctl's settings come from: flag > environment > `~/.config/labctl/config.toml` > default."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import UsageError
from labctl.names import learner_id

RUNTIMES = ("local", "docker", "kubernetes")
PROFILES = ("cpu", "gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting with the place that gave it: `environment`, `file` or `default`."""

    name: str
    value: str | None
    origin: str


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
    "LABCTL_WORKSPACES": "~/labctl",
    "LABCTL_LEARNER": None,
}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises UsageError when the file is not TOML or a value is not one that is accepted."""
    environ = os.environ if environ is None else environ
    config = config_path(environ)
    chosen = {name: _choose(name, environ, _read(config)) for name in _DEFAULTS}
    value = {name: setting.value for name, setting in chosen.items()}
    _one_of(chosen["LABCTL_RUNTIME"], RUNTIMES)
    if value["LABCTL_PROFILE"]:
        _one_of(chosen["LABCTL_PROFILE"], PROFILES)
    return Settings(
        home=_path(value["LABCTL_HOME"] or ""),
        labs=tuple(_path(part) for part in (value["LABCTL_LABS"] or "").split(os.pathsep) if part),
        models=_path(value["LABCTL_MODELS"]) if value["LABCTL_MODELS"] else None,
        runtime=value["LABCTL_RUNTIME"] or "local",
        profile=value["LABCTL_PROFILE"],
        database_url=value["LABCTL_DATABASE_URL"],
        nvml_library=value["LABCTL_NVML_LIBRARY"],
        learner=value["LABCTL_LEARNER"] or learner_id(_user(environ)),
        workspaces=_path(value["LABCTL_WORKSPACES"] or ""),
        origins=tuple(chosen.values()),
    )


def config_path(environ: Mapping[str, str]) -> Path:
    """The settings file, which need not exist."""
    return _path(environ.get("XDG_CONFIG_HOME") or "~/.config") / "labctl" / "config.toml"


def _choose(name: str, environ: Mapping[str, str], file: Mapping[str, object]) -> Setting:
    if environ.get(name):
        return Setting(name=name, value=environ[name], origin="environment")
    if name in file:
        return Setting(name=name, value=str(file[name]), origin="file")
    return Setting(name=name, value=_DEFAULTS[name], origin="default")


def _read(path: Path) -> Mapping[str, object]:
    if not path.exists():
        return {}
    import tomllib  # most people have no such file, and every command would load it

    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "mend its permissions, or remove it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", 'write lines such as LABCTL_RUNTIME = "local"') from error


def _one_of(setting: Setting, accepted: tuple[str, ...]) -> None:
    if setting.value not in accepted:
        raise UsageError(
            f"{setting.name} is {setting.value!r} (from the {setting.origin})", f"use one of: {', '.join(accepted)}"
        )


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _user(environ: Mapping[str, str]) -> str:
    try:
        return environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # a container whose uid has no passwd entry
        return f"uid-{os.getuid()}"
