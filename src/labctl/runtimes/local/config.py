"""supervisord's configuration for a session. Values of lab files go into launch files, never into supervisord's syntax."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.disk import write_atomically
from labctl.runtimes import secrets
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import environment

if TYPE_CHECKING:
    from labctl.plan import Plan, ServicePlan

_LAUNCH = Path(__file__).with_name("launch.py")
_RETRIES = 3
_RESTART = {"no": "false", "on-failure": "unexpected", "always": "true"}

# supervisord runs in the session's folder and makes the socket's path absolute, but a socket's path must be under 108
# bytes: its own /proc/self/cwd keeps it short, however deep the folder is
_HEAD = """\
[supervisord]
logfile=supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=supervisord.pid
childlogdir=logs
nocleanup=true
umask=077
minfds=256
minprocs=16

[unix_http_server]
file=/proc/self/cwd/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def write(plan: Plan, folder: SessionFolder, venvs: dict[str, str]) -> None:
    """Write supervisord.conf and one launch file a service; `venvs` maps names of environments to their folders."""
    launches = _launches(plan, folder, venvs)
    for file, text in launches.values():
        if not (folder.root / file).exists():
            write_atomically(folder.root / file, text)
    write_atomically(folder.conf, "\n".join([_HEAD, *programs(plan, folder, venvs).values()]))
    kept = {file for file, _ in launches.values()}
    for old in folder.launches.iterdir():
        if f"run/{old.name}" not in kept:
            old.unlink(missing_ok=True)


def programs(plan: Plan, folder: SessionFolder, venvs: dict[str, str]) -> dict[str, str]:
    """Each service's section of supervisord.conf. It changes exactly when its launch file or its policy does."""
    launches = _launches(plan, folder, venvs)
    return {service.name: _program(plan, service, launches[service.name][0]) for service in plan.services}


def written_programs(folder: SessionFolder) -> dict[str, str]:
    """The sections of the supervisord.conf that is there; none when there is no file."""
    try:
        text = folder.conf.read_text()
    except FileNotFoundError:
        return {}
    parts = text.split("[program:")[1:]
    return {part.partition("]")[0]: f"[program:{part.rstrip()}\n" for part in parts}


def quote(word: str) -> str:
    """A word of `command=` as supervisord reads it back: through configparser, `%` expansion and shlex.

    A `#` or `;` behind a space would start a comment, even between quotes: each stands in a pair of quotes of its own.
    """
    quoted = shlex.quote(word)
    for mark in "#;":
        quoted = quoted.replace(mark, f"'\"{mark}\"'")
    return quoted.replace("%", "%%")


def _launches(plan: Plan, folder: SessionFolder, venvs: dict[str, str]) -> dict[str, tuple[str, str]]:
    """By service, the launch file, named after its content, and its text."""
    texts = {service.name: _launch(plan, service, folder, venvs) for service in plan.services}
    return {
        name: (f"run/{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json", text)
        for name, text in texts.items()
    }


def _launch(plan: Plan, service: ServicePlan, folder: SessionFolder, venvs: dict[str, str]) -> str:
    known = secrets.read(folder.root)
    own = environment.of_service(plan, service, folder.home, venvs.get(service.env or ""))
    env = secrets.fill_all(own, known)
    command = [secrets.fill(word, known) for word in service.command]
    return json.dumps({"argv": command, "cwd": plan.workspace.path, "env": env}, sort_keys=True, indent=1)


def _program(plan: Plan, service: ServicePlan, launch_file: str) -> str:
    job = service.is_awaited(plan.services)
    command = [sys.executable, "-I", "-S", str(_LAUNCH), launch_file]
    settings = {
        "command": " ".join(map(quote, command)),
        "autostart": "false",
        "autorestart": "false" if job else _RESTART[service.restart],
        # a job may end at once; anything else that does so is retried with supervisord's back-off, then FATAL
        "startsecs": 0 if job else 1,
        "startretries": 0 if job else _RETRIES,
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": math.ceil(service.stop_grace_period),
        "redirect_stderr": "true",
        "stdout_logfile": f"logs/{service.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 2,
    }
    return "\n".join([f"[program:{service.name}]", *(f"{key}={value}" for key, value in settings.items()), ""])
