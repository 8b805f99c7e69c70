"""A real JupyterHub, its proxy, the board, and a large class of real sessions; a token for each learner."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

PROXY = os.environ.get("LABCTL_HUB_PROXY") or shutil.which("configurable-http-proxy")
LACKS_PROXY = "there is no configurable-http-proxy; get it with: npm install -g configurable-http-proxy"
LAB_ID = "small-lab"
START_S = 180.0
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
LAB = """\
title: A small lab
stage: 1
minutes: 5
profiles:
  cpu: {memory: 64MiB, disk: 16MiB}
criteria:
""" + "".join(
    f"""\
  - id: step-{number}
    text: step-{number}.txt says yes
    points: 10
    hint: write it
    checks:
      - file: {{path: step-{number}.txt, text: {{contains: "yes"}}}}
"""
    for number in range(10)
)
CONFIG = """\
c = get_config()
c.JupyterHub.bind_url = "{url}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = [{command!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.concurrent_spawn_limit = 100
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=board"]}},
    {{"name": "board", "services": ["board"], "scopes": ["list:users", "read:users:groups", "read:roles:users"]}},
    {{"name": "tokens", "services": ["tokens"], "scopes": ["admin:users", "tokens", "read:users", "access:services"]}},
]
c.JupyterHub.services = [
    {{"name": "tokens", "api_token": {admin!r}}},
    {{
        "name": "board",
        "url": "http://127.0.0.1:{board}",
        "command": [{python!r}, "-m", "labctl.hub.board"],
        "environment": {env!r},
    }},
]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where the board's API is, what runs, and the file of learners that Locust reads."""

    api: str
    process: psutil.Process
    learners: Path

    def memory_mib(self) -> dict[str, float]:
        """Resident memory of Hub, proxy and board, without what they share counted twice where the kernel tells."""
        found: dict[str, float] = {}
        for each in [self.process, *self.process.children(recursive=True)]:
            line = " ".join(each.cmdline())
            name = "board" if "labctl.hub.board" in line else "hub" if "jupyterhub" in line else "proxy"
            found[name] = round(found.get(name, 0.0) + each.memory_full_info().uss / 2**20, 1)
        return found


@contextmanager
def hub(folder: Path, *, learners: int, verifying: int) -> Iterator[Hub]:
    """A class of so many learners, of whom `verifying` have a session."""
    env, own = _environment(folder)
    _write_class(folder, learners, verifying)
    cohort = str(folder / "autumn")
    ports = dict(zip(("public", "hub", "proxy", "board"), _free_ports(4), strict=True))
    admin, url = secrets.token_hex(32), f"http://127.0.0.1:{ports['public']}/"
    service = {**own, "LABCTL_HUB_COHORT": cohort}
    config = CONFIG.format(url=url, command=PROXY, python=sys.executable, env=service, admin=admin, **ports)
    (folder / "config.py").write_text(config)
    (folder / "config.py").chmod(0o600)
    _labctl(env, "cohort", "up", cohort)
    process = _start(folder, env, url)
    try:
        made = folder / "learners.json"
        made.write_text(json.dumps(_tokens(f"{url}hub/api", admin, learners, verifying)))
        api = f"{url}services/board/api/v1"
        yield Hub(api=api, process=psutil.Process(process.pid), learners=made)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        _labctl(env, "cohort", "down", cohort)


def locust(hub: Hub, *, learners: int, seconds: int, out: Path) -> subprocess.CompletedProcess[str]:
    """Locust's run, which has written its figures beside `out`; it ends with 1 when any request failed."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", f"{hub.api}/"]
    size = ["-u", str(learners), "-r", str(max(5, learners // 10)), "-t", f"{seconds}s", "--stop-timeout", "5"]
    shown = ["--csv", str(out), "--only-summary", "--loglevel", "WARNING"]
    env = {**os.environ, "LABCTL_LOAD_LEARNERS": str(hub.learners)}
    return subprocess.run([*command, *size, *shown], env=env, capture_output=True, text=True, check=False)


def _environment(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    names = {"LABCTL_HOME": "home", "LABCTL_WORKSPACES": "work", "LABCTL_LABS": "labs", "XDG_CONFIG_HOME": "config"}
    own = {name: str(folder / value) for name, value in names.items()} | {"LABCTL_LEARNER": "teacher"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "JUPYTERHUB_"))}
    return {**kept, **own}, own


def _write_class(folder: Path, learners: int, verifying: int) -> None:
    lab = folder / "labs" / LAB_ID
    (lab / "workspace").mkdir(parents=True)
    (lab / "workspace" / "readme.txt").write_text("start here\n")
    (lab / "lab.yaml").write_text(LAB)
    (folder / "autumn").mkdir()
    lines = [f"labs: [{LAB_ID}]", "roster: roster.csv", "runtime: local", "overcommit: 100"]
    (folder / "autumn" / "cohort.yaml").write_text("\n".join([*lines, f"sessions: {{initial: {verifying}}}", ""]))
    rows = [f"Learner {number},s{number}" for number in range(learners)]
    (folder / "autumn" / "roster.csv").write_text("\n".join(["Name,ID", *rows, ""]))


def _labctl(env: dict[str, str], *args: str) -> None:
    done = subprocess.run([sys.executable, "-m", "labctl", *args], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"labctl {' '.join(args)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def _start(folder: Path, env: dict[str, str], url: str) -> subprocess.Popen[bytes]:
    with (folder / "hub.log").open("ab") as log:
        command = [sys.executable, "-m", "jupyterhub", "--config", str(folder / "config.py")]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    until = time.monotonic() + START_S
    while not _answers(f"{url}services/board/api/v1/openapi.json"):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError(f"the Hub did not start: {(folder / 'hub.log').read_text()[-3000:]}")
        time.sleep(0.2)
    return process


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _tokens(api: str, admin: str, learners: int, verifying: int) -> list[dict[str, object]]:
    """A user and a token of each learner, as an instructor's program would make them."""
    found: list[dict[str, object]] = []
    with httpx.Client(base_url=f"{api}/", headers={"Authorization": f"token {admin}"}, timeout=60) as client:
        names = [f"s{number}" for number in range(learners)]
        client.post("users", json={"usernames": names}).raise_for_status()
        for number, name in enumerate(names):
            answer = client.post(f"users/{name}/tokens", json={"note": "load"})
            token = answer.raise_for_status().json()["token"]
            found.append({"id": name, "token": token, "lab": LAB_ID, "verifies": number < verifying})
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
