"""Become a Hub: look whether everything is there, write its configuration, and replace this process by JupyterHub."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from labctl.disk import write_atomically
from labctl.errors import PreflightError, UsageError
from labctl.hub.config import Portal, configuration
from labctl.hub.folder import HubFolder

PROXY = "configurable-http-proxy"
_ENDING_S = 5.0
POD_ENDING_S = 60.0
"""So long a Hub's pod may take to end: k8s/base gives it as much."""


def check_installed() -> None:
    """Raises PreflightError when JupyterHub is not there."""
    if importlib.util.find_spec("jupyterhub") is None:
        raise PreflightError("JupyterHub is not installed", "`pip install 'labctl[hub]'`")


def proxy_path(environ: Mapping[str, str]) -> str:
    """The proxy's program: LABCTL_HUB_PROXY, else what is on PATH. Raises PreflightError when there is none."""
    chosen = environ.get("LABCTL_HUB_PROXY")
    found = shutil.which(chosen or PROXY)
    if found:
        return found
    if chosen:
        raise PreflightError(f"LABCTL_HUB_PROXY is {chosen!r}, which is no program", f"give the path of {PROXY}")
    raise PreflightError(
        f"{PROXY}, which JupyterHub needs, is not on PATH",
        f"`npm install -g {PROXY}` (with Debian's nodejs and npm), or set LABCTL_HUB_PROXY to where it is",
    )


def check_port(host: str, port: int, hint: str = "choose another: --port, --host") -> None:
    """Raises PreflightError when nobody can listen there, nor could in a moment: a Hub that was killed just now has a proxy
    that ends after it.
    """
    deadline = time.monotonic() + _ENDING_S
    while (why := _trouble(host, port)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if why:
        raise PreflightError(f"{host}:{port} cannot be listened on: {why}", hint)


def check_more(file: Path | None) -> Path | None:
    """The file of one's own configuration. Raises UsageError where there is none."""
    if file is not None and not file.is_file():
        raise UsageError(f"--config: there is no file {file}", "give a file of JupyterHub configuration")
    return file.resolve() if file else None


def lock(folder: HubFolder, patience_s: float = 0.0) -> None:
    """Be the only Hub of the cohort, from now on until this process, whatever it becomes, ends. Raises PreflightError.

    `patience_s`: so long one is waited for that is just ending, as a pod is whose successor starts already.
    """
    folder.create()
    descriptor = os.open(folder.root / "serving.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            raise PreflightError(f"{folder.cohort} is being served already", "end that `labctl hub serve` first")
        time.sleep(0.2)
    os.set_inheritable(descriptor, True)


def write(portal: Portal) -> Path:
    """Write the configuration and where it is served."""
    write_atomically(portal.folder.config, configuration(portal))
    write_atomically(portal.folder.address, json.dumps({"url": portal.url}))
    return portal.folder.config


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _trouble(host: str, port: int) -> str:
    """What keeps a server from listening there; empty when nothing does."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def become(portal: Portal, config: Path) -> NoReturn:
    """JupyterHub takes the place of this process: signals reach it, and its exit code is ours."""
    os.chdir(portal.folder.root)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub", "--config", str(config)])  # noqa: S606
