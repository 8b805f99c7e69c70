"""A real JupyterHub with the board as its service, and a class of real sessions on this host."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

PROXY = os.environ.get("LABCTL_HUB_PROXY") or shutil.which("configurable-http-proxy")
LACKS_PROXY = "there is no configurable-http-proxy; get it with: npm install -g configurable-http-proxy"
START_S = 120
PEOPLE = (
    "Ada Lovelace",
    "李雷",
    "韩梅梅",
    "Zoë Groß",
    "Grace Hopper",
    "Łukasz Nowak",
    "김 민준",
    "Amara Okafor",
    "<b>Bobby</b> Tables",
    "Noor Haddad",
    "Mateo Silva",
    "Priya Raman",
)
STEPS = ("tokens", "batches", "loss", "adapter", "merged", "served", "measured", "report")
LAB = f"""\
title: Fine-tune a small model
summary: Teach a small chat model something that a prompt alone does not get out of it, and serve it.
stage: 2
minutes: 60
profiles:
  cpu: {{memory: 64MiB, disk: 16MiB}}
criteria:
{
    "".join(
        f'''
  - id: {step}
    text: {step}.txt says yes
    points: {5 + 5 * (number % 3)}
    hint: Write yes into {step}.txt. It belongs in the workspace's own folder.
    checks:
      - file: {{path: {step}.txt, text: {{contains: "yes"}}}}
'''
        for number, step in enumerate(STEPS)
    )
}
"""
README = """\
# Fine-tune a small model

**Goal.** Teach a chat model something that a prompt alone does not get out of it, and put it into production without
restarting the server. About an hour, of which the machine computes a few minutes.

## What is there

| file | what it is | minutes |
|---|---|--:|
| `data/train.jsonl` | the tickets to learn from | |
| `train_lora.py` | stops where your part begins | 25 |
| `measure.py` | compares the model with its base | 10 |

## Tasks

### 1. Predict

LoRA leaves a weight matrix as it is and learns an update of low rank beside it, as
[the paper](https://arxiv.org/abs/2106.09685) says:

    W x + (alpha / r) · B A x

B is m × r and starts at zero, A is r × n and starts at random. Work out how many numbers that is for each of the seven
linear layers of a block, before anything is trained.

### 2. Train an adapter

1. Complete `train_lora.py`: choose rank, alpha and target modules.
2. Look at the losses: they should fall by more than a factor of 100.
3. Have it judged with **Verify**, or type `labctl verify`.

<script>document.title = "broken"</script>
"""


@dataclass(kw_only=True)
class Portal:
    """Where it is served, and the environment that labctl has there."""

    url: str
    folder: Path
    env: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def board(self) -> str:
        return f"{self.url}services/board/"

    def answers(self) -> bool:
        """Whether the board does, behind the Hub."""
        try:
            return httpx.get(f"{self.board}static/board.css").status_code == 200
        except httpx.HTTPError:
            return False

    def labctl(self, *args: str, code: int | None = 0) -> str:
        """What it prints; any exit code is accepted where `code` is None."""
        command = [sys.executable, "-m", "labctl", *args]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=300)
        assert code in (None, done.returncode), done.stdout + done.stderr
        return done.stdout

    def workspace(self, learner: str) -> Path:
        return self.folder / "work" / "autumn" / learner / "small-lab"

    def solve(self, learner: str, *steps: str) -> None:
        for step in steps:
            (self.workspace(learner) / f"{step}.txt").write_text("yes")

    @contextmanager
    def logged_in(self, who: str) -> Iterator[httpx.Client]:
        """A browser that has logged in as `who` and been led to the board."""
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            page = client.get(self.board)
            assert "/hub/login" in str(page.url), page.url
            xsrf = next(cookie.value for cookie in client.cookies.jar if cookie.name == "_xsrf")
            page = client.post(page.url, data={"username": who, "password": "any", "_xsrf": xsrf or ""})
            assert str(page.url).startswith(self.board), page.url
            yield client


CONFIG = """\
c = get_config()
c.JupyterHub.bind_url = "{url}"
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = ["{command}"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"teacher"}}
c.JupyterHub.load_groups = {{"instructor": {{"users": ["assistant"]}}}}
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=board"]}},
    {{"name": "board", "services": ["board"], "scopes": ["list:users", "read:users:groups", "read:roles:users"]}},
    {{"name": "gradebook", "services": ["gradebook"], "scopes": ["access:services!service=board", "custom:labctl:class"]}},
    {{"name": "clock", "services": ["clock"], "scopes": ["access:services!service=board"]}},
]
c.JupyterHub.custom_scopes = {{"custom:labctl:class": {{"description": "See and do everything in the class."}}}}
c.JupyterHub.services = [{{"name": name, "api_token": name * 4}} for name in ("gradebook", "clock")] + [{{
    "name": "board",
    "url": "http://127.0.0.1:{board}",
    "command": [{python!r}, "-m", "labctl.hub.board"],
    "environment": {env!r},
    "oauth_no_confirm": True,
}}]
"""


@contextmanager
def portal(folder: Path) -> Iterator[Portal]:
    """A class of which everybody's session runs, and its Hub."""
    if PROXY is None:
        pytest.skip(LACKS_PROXY)
    made = _class(folder)
    made.labctl("cohort", "up", str(folder / "autumn"))
    try:
        made.processes.append(start(made))
        yield made
    finally:
        for process in made.processes:
            process.send_signal(signal.SIGINT)
        for process in made.processes:
            process.wait(60)
        made.labctl("cohort", "down", str(folder / "autumn"))


def start(made: Portal) -> subprocess.Popen[bytes]:
    """JupyterHub, once the board answers behind it."""
    with (made.folder / "hub.log").open("ab") as log:
        command = [sys.executable, "-m", "jupyterhub", "--config", str(made.folder / "config.py")]
        process = subprocess.Popen(command, cwd=made.folder, env=made.env, stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (made.folder / "hub.log").read_text()[-4000:]
        return made.answers()

    until(answers, START_S)
    return process


def until(true: Callable[[], bool], timeout_s: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not so after {timeout_s} s"
        time.sleep(0.05)


def _class(folder: Path) -> Portal:
    lab = folder / "labs" / "small-lab"
    (lab / "workspace").mkdir(parents=True)
    (lab / "workspace" / "readme.txt").write_text("start here\n")
    (lab / "lab.yaml").write_text(LAB)
    (lab / "README.md").write_text(README)
    (folder / "autumn").mkdir()
    (folder / "autumn" / "cohort.yaml").write_text(
        "title: Language models, autumn\nlabs: [small-lab]\nroster: roster.csv\nruntime: local\novercommit: 100\n"
    )
    rows = [f"{name},s{number}" for number, name in enumerate(PEOPLE, start=1)]
    (folder / "autumn" / "roster.csv").write_text("\n".join(["Name,ID", *rows, ""]), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LABCTL_", "JUPYTERHUB_"))}
    own = {
        "LABCTL_HOME": str(folder / "home"),
        "LABCTL_WORKSPACES": str(folder / "work"),
        "LABCTL_LABS": str(folder / "labs"),
        "LABCTL_LEARNER": "teacher",
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    made = Portal(url="", folder=folder, env={**env, **own})
    ports = dict(zip(("public", "hub", "proxy", "board"), _free_ports(4), strict=True))
    made.url = f"http://127.0.0.1:{ports['public']}/"
    service = {**own, "LABCTL_HUB_COHORT": str(folder / "autumn")}
    config = CONFIG.format(url=made.url, command=PROXY, python=sys.executable, env=service, **ports)
    (folder / "config.py").write_text(config)
    return made


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
