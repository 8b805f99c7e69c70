"""Machines for Ansible: containers in which systemd runs, made on this host's engine."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

FILES = Path(__file__).with_name("systemd")
READY_S = 60


class Machine:
    """A running container, as Ansible and a test see it."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.name = str(container.name)

    def run(self, *command: str, user: str = "root") -> tuple[int, str]:
        """The exit code and all that `command` wrote."""
        code, output = self._container.exec_run(list(command), user=user)
        assert isinstance(code, int)
        assert isinstance(output, bytes)
        return code, output.decode(errors="replace")

    def ask(self, *command: str, user: str = "root") -> str:
        """What `command` wrote, without the last newline. Fails when it did."""
        code, output = self.run(*command, user=user)
        assert code == 0, f"{' '.join(command)}: {code}: {output}"
        return output.rstrip("\n")

    def write(self, path: str, text: str) -> None:
        """Make the file and its folders anew."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"'
        self.ask("sh", "-c", script, "sh", path, text)

    def kill(self) -> None:
        self._container.kill()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + READY_S
        state = ""
        while time.monotonic() < deadline:
            _, state = self.run("systemctl", "is-system-running")
            if state.strip() in ("running", "degraded"):
                return
            time.sleep(0.2)
        said = self._container.logs(tail=20).decode(errors="replace")
        raise AssertionError(f"systemd in {self.name} is {state.strip() or 'silent'} after {READY_S} s: {said}")


def image(client: DockerClient, base: str) -> str:
    """The tag of the image, built when this engine has it not."""
    import docker.errors

    files = b"".join(path.read_bytes() for path in sorted(FILES.iterdir()))
    tag = f"labctl-test-systemd:{hashlib.sha256(files + base.encode()).hexdigest()[:12]}"
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        client.images.build(path=str(FILES), tag=tag, buildargs={"BASE_IMAGE": base}, rm=True, forcerm=True)
    return tag


@contextmanager
def running(client: DockerClient, tag: str, name: str = "host", volumes: Sequence[str] = ()) -> Iterator[Machine]:
    """A machine that is up, with an own disk at each of `volumes`; nothing of it is left afterwards."""
    container = client.containers.run(
        tag,
        name=f"labctl-test-{name}-{uuid.uuid4().hex[:6]}",
        hostname=name,
        detach=True,
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        device_cgroup_rules=["a *:* rwm"],
        cgroupns="private",
        tmpfs={"/run": "exec", "/run/lock": ""},
        volumes=list(volumes),
        environment={"container": "docker"},
        labels={"labctl.test": "hosts"},
    )
    try:
        machine = Machine(container)
        machine.wait_until_up()
        yield machine
    finally:
        container.remove(force=True, v=True)
