"""A learner with an engine of their own, without root: labctl, the engine and the containers all run as that user.

Needs root to make the user, and Debian's docker.io, rootlesskit, slirp4netns and uidmap; elsewhere a sentence says what is missing.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import psutil
import pydantic
import pytest
import yaml

import labctl
from labctl import settings as settings_of
from labctl.images.build import ensure
from labctl.images.names import INGRESS
from tests.integration.docker import attacked
from tests.integration.docker.attacked import BASE, until

pytestmark = [pytest.mark.docker, pytest.mark.slow]
TOOLS = ("dockerd", "rootlesskit", "slirp4netns", "newuidmap", "useradd", "userdel", "setpriv", "unshare")
STARTERS = (
    "/usr/share/docker.io/contrib/dockerd-rootless.sh",
    "/usr/bin/dockerd-rootless.sh",
    "/usr/local/bin/dockerd-rootless.sh",
)
USER = "labctl-rootless"
LAB = {
    "title": "A lab",
    "stage": 0,
    "minutes": 1,
    "profiles": {"cpu": {"memory": "64MiB", "disk": "16MiB"}},
    "workspace": {"image": BASE},
    "services": {
        "web": {
            "image": BASE,
            "command": ["python3", "-m", "http.server", "{{ port('http') }}"],
            "ports": {"http": 8000},
            "healthcheck": {"http": "/", "interval": "100ms"},
        }
    },
    "criteria": [
        {
            "id": "ran",
            "text": "t",
            "points": 1,
            "hint": "h",
            "checks": [{"command": {"command": ["touch", "checked"]}}],
        },
        {"id": "served", "text": "t", "points": 1, "hint": "h", "checks": [{"http": {"service": "web", "path": "/"}}]},
    ],
}
# A node that only root may open is put right for the engine alone: the mount ends with it.
START = """
for node in net/tun fuse; do
  if [ -e "$0/$(basename $node)" ]; then mount --bind "$0/$(basename $node)" "/dev/$node"; fi
done
exec setpriv --reuid "$1" --regid "$2" --init-groups --inh-caps=-all env -i HOME="$0" USER="$1" XDG_RUNTIME_DIR="$0/run" \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$3"
"""


@dataclass(frozen=True)
class Learner:
    """A user of this host with a rootless engine; `folder` is their home, with labs and workspaces in it."""

    folder: Path
    uid: int
    python: str

    @cached_property
    def engine(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=f"unix://{self.folder}/run/docker.sock")

    def labctl(self, *words: str) -> str:
        """What labctl answers when this user types it. AssertionError when it fails."""
        environ = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": _path_of_packages(),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_RUNTIME_DIR": f"{self.folder}/run",
            "DOCKER_HOST": f"unix://{self.folder}/run/docker.sock",
            "LABCTL_HOME": f"{self.folder}/kept",
            "LABCTL_LABS": f"{self.folder}/labs",
            "LABCTL_WORKSPACES": f"{self.folder}/work",
            "LABCTL_RUNTIME": "docker",
            "LABCTL_BASE_IMAGE": BASE,
            "LABCTL_LEARNER": "ada",
        }
        command = [*_as(self.uid), self.python, "-m", "labctl", *words]
        said = subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, timeout=300, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout


@pytest.fixture(scope="module")
def learner() -> Iterator[Learner]:
    if why := _missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="labctl-", dir="/tmp"))
    subprocess.run(["useradd", "--home-dir", str(folder), "--no-create-home", USER], check=True, capture_output=True)
    uid = pwd.getpwnam(USER).pw_uid
    try:
        python = _python_for(uid)
        if not python:
            pytest.skip(
                f"no python{sys.version_info.major}.{sys.version_info.minor} that another user may run is on this host"
            )
        (folder / "labs" / "rootless" / "workspace").mkdir(parents=True)
        (folder / "labs" / "rootless" / "workspace" / "readme.txt").write_text("start here\n")
        (folder / "labs" / "rootless" / "lab.yaml").write_text(yaml.safe_dump(LAB, sort_keys=False))
        (folder / "run").mkdir(mode=0o700)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, uid)
        _make_nodes(folder, uid)
        made = Learner(folder=folder, uid=uid, python=python)
        with (folder / "engine.log").open("w") as log:
            command = [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-ec",
                START,
                str(folder),
                USER,
                str(uid),
                _starter(),
            ]
            with subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            ) as engine:
                try:
                    until(lambda: _answers(made) or engine.poll() is not None, within_s=90)
                    if engine.poll() is not None:
                        pytest.skip(
                            f"a rootless engine does not start here: {(folder / 'engine.log').read_text()[-500:]}"
                        )
                    _load_images(made)
                    yield made
                    made.engine.close()
                finally:
                    _end_all(uid)
    finally:
        _end_all(uid)
        subprocess.run(["userdel", USER], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_session_on_a_rootless_engine(learner: Learner) -> None:
    made = json.loads(learner.labctl("up", "rootless", "--json"))
    assert made["state"] == "RUNNING"
    assert {name: each["state"] for name, each in made["services"].items()} == {
        "web": "running",
        "workspace": "running",
    }
    try:
        _check_files(learner, Path(made["workspace"]))
        for container in learner.engine.containers.list():
            _check_hardening(container.attrs)
        _check_attacks(learner)
        _check_what_is_said(learner)
    finally:
        learner.labctl("down", "rootless", "--purge", "--yes")
    assert learner.engine.containers.list(all=True) == []
    assert not Path(made["workspace"]).exists()


def _check_files(learner: Learner, workspace: Path) -> None:
    """What containers write is the user's own on the host, who can change and delete it without anybody's help."""
    learner.labctl(
        "exec", "rootless", "--", "sh", "-c", "mkdir -p made/deep && touch made/deep/file && chmod 600 made/deep/file"
    )
    report = json.loads(learner.labctl("verify", "rootless", "--json"))
    assert report["outcome"] == "pass"
    found = [workspace, *workspace.rglob("*")]
    assert {path.name for path in found} >= {"file", "checked", "readme.txt"}
    assert {path.stat().st_uid for path in found} == {learner.uid}


def _check_hardening(seen: dict[str, Any]) -> None:
    host = seen["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["ReadonlyRootfs"], host["Privileged"], host["Init"]) == (True, False, True)
    assert {mount["Source"] for mount in seen["Mounts"] if mount["RW"] and mount["Type"] != "tmpfs"} <= {
        mount["Source"] for mount in seen["Mounts"] if mount["Destination"] == "/workspace"
    }
    bound = [each["HostIp"] for port in (seen["NetworkSettings"]["Ports"] or {}).values() for each in port or []]
    assert set(bound) <= {"127.0.0.1"}


def _check_attacks(learner: Learner) -> None:
    """Root in the container is the user outside, and has none of root's rights inside."""
    status = learner.labctl("exec", "rootless", "--", "cat", "/proc/self/status", "/proc/self/uid_map")
    assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
    assert "NoNewPrivs:\t1" in status
    assert status.splitlines()[-2].split() == ["0", str(learner.uid), "1"]
    tries = "for place in /etc/hosts /usr/x /x /lab/x; do (: >> $place) 2>/dev/null && echo $place; done; mount -t tmpfs x /tmp; true"
    assert learner.labctl("exec", "rootless", "--", "sh", "-c", tries) == ""
    script = "import socket; [print(place) for place in ('10.0.2.2', '10.0.2.3', '1.1.1.1') if not socket.socket().connect_ex((place, 53))]"
    assert learner.labctl("exec", "rootless", "--", "python3", "-c", script) == ""


def _check_what_is_said(learner: Learner) -> None:
    """Where the engine cannot bound memory, as on cgroup v1, the doctor says so, and the session runs all the same."""
    info = learner.engine.info()
    assert "name=rootless" in info["SecurityOptions"]
    said = json.loads(learner.labctl("doctor", "--json"))
    docker_says = next(each for each in said["findings"] if each["name"] == "Docker")
    assert "rootless" in docker_says["detail"]
    assert info["MemoryLimit"] or "cannot limit memory" in docker_says["remedy"]


def _missing() -> str:
    if why := attacked.missing():
        return why
    if os.geteuid() != 0:
        return "making a user for a rootless engine needs root: run these tests as root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent or not _starter():
        named = ", ".join([*absent, *([] if _starter() else ["dockerd-rootless.sh"])])
        return f"{named} not found: apt-get install docker.io rootlesskit slirp4netns uidmap"
    with suppress(KeyError):
        pwd.getpwnam(USER)
        return f"there is a user {USER} already: userdel {USER}"
    return ""


def _starter() -> str:
    return next((place for place in STARTERS if Path(place).is_file()), "")


def _python_for(uid: int) -> str:
    """A Python of our version, with our packages, that the user may run; empty when there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for place in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        command = [*_as(uid), place, "-c", "import labctl, pydantic, docker, sqlalchemy"]
        said = subprocess.run(
            command, env={"PYTHONPATH": _path_of_packages()}, cwd="/", capture_output=True, check=False
        )
        if said.returncode == 0:
            return place
    return ""


def _path_of_packages() -> str:
    places = [Path(module.__file__ or "").parents[1] for module in (labctl, pydantic)]
    return os.pathsep.join(map(str, dict.fromkeys(places)))


def _as(uid: int) -> list[str]:
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--inh-caps=-all"]


def _make_nodes(folder: Path, uid: int) -> None:
    """Own nodes for those devices that distributions let everybody open and this host does not."""
    for name in ("net/tun", "fuse"):
        device = Path("/dev", name)
        usable = subprocess.run([*_as(uid), "test", "-w", str(device)], check=False).returncode == 0
        if device.exists() and not usable:
            node = folder / device.name
            try:
                os.mknod(node, 0o600 | 0o020000, device.stat().st_rdev)
            except PermissionError:
                pytest.skip(f"{device} is root's alone: chmod 666 {device}")
            node.chmod(0o666)


def _answers(learner: Learner) -> bool:
    """Whether somebody listens: the SDK would leave a socket open each time nobody does."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
        knock.connect(str(learner.folder / "run" / "docker.sock"))
        return True
    return False


def _load_images(learner: Learner) -> None:
    """The base and the ingress from the engine that runs here, which can build the one from the other."""
    client = docker.from_env()
    settings = settings_of.load({"LABCTL_BASE_IMAGE": BASE, "HOME": str(learner.folder)})
    references = [BASE, ensure(client, INGRESS, "cpu", settings, lambda _step: None)]
    for reference in references:
        learner.engine.images.load(b"".join(client.images.get(reference).save(named=True)))


def _end_all(uid: int) -> None:
    """Whatever still runs as the user that was made for this test."""
    theirs = [
        process
        for process in psutil.process_iter(["uids"])
        if process.info["uids"] and process.info["uids"].real == uid
    ]
    for process in theirs:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(theirs, timeout=20)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
