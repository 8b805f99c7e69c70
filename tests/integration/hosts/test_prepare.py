"""A bare Debian becomes a lab host: for real, twice, and labctl itself finds nothing left to mend."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uv

from labctl import settings
from labctl.hosts.bundle.make import Request, make
from labctl.index import for_uv
from tests.integration.hosts import machines
from tests.integration.hosts.bundled import make_image, write_lab
from tests.integration.hosts.by_labctl import Answer, labctl_host
from tests.integration.hosts.conftest import DISKS
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import ca_bundle, play

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("lab-host")]
ROOT = Path(__file__).resolve().parents[3]
SOMEBODY_ELSES = {"debug": False, "registry-mirrors": ["https://mirror.example.org"], "labels": ["rack=7"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | for_uv(), check=True, timeout=300)
    return next(folder.glob("labctl-*.whl"))


@pytest.fixture(scope="module")
def host(docker_engine: DockerClient, systemd_image: str) -> Iterator[Machine]:
    """A machine on which somebody has set up things of their own."""
    with machines.running(docker_engine, systemd_image, "lab", DISKS) as machine:
        machine.write("/etc/docker/daemon.json", json.dumps(SOMEBODY_ELSES))
        yield machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """The bare machine, and the labctl that makes it a lab host."""

    host: Machine
    folder: Path
    wheel: Path

    def labctl(self, verb: str) -> Answer:
        return labctl_host(
            verb,
            self.host,
            self.folder,
            labctl_wheel=str(self.wheel),
            labctl_extras=[],
            labctl_ca_certificates=ca_bundle(),
            labctl_docker_registry_mirrors=["https://own.example.org"],
            labctl_secret_settings={"LABCTL_DATABASE_URL": "sqlite:////var/lib/labctl/swordfish.db"},
        )


@pytest.fixture(scope="module")
def preparing(host: Machine, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparing:
    return Preparing(host=host, folder=tmp_path_factory.mktemp("preparing"), wheel=wheel)


@pytest.fixture(scope="module")
def looked_at(preparing: Preparing) -> Answer:
    """What a check said of the bare machine."""
    look = ("sh", "-c", "dpkg -l; find /etc /opt /usr/local -newer /proc/1 | sort")
    before = preparing.host.ask(*look)
    looked = preparing.labctl("check")
    assert preparing.host.ask(*look) == before
    return looked


@pytest.fixture(scope="module")
def prepared(preparing: Preparing, looked_at: Answer) -> Answer:
    return preparing.labctl("prepare")


def test_a_check_tells_what_a_bare_machine_lacks_and_changes_nothing(looked_at: Answer) -> None:
    assert (looked_at.code, looked_at.host["troubles"]) == (4, [])
    assert any(said.startswith("missing: ") and "uidmap" in said for said in looked_at.said)
    assert any(said.startswith("missing: docker.io") for said in looked_at.said)
    assert "docker: Write the engine's configuration" in looked_at.changed
    assert "monitoring: Write the rules" in looked_at.changed


def test_a_bare_machine_is_prepared(preparing: Preparing, prepared: Answer) -> None:
    assert prepared.code == 0, prepared.text
    assert "swordfish" not in prepared.text
    files = [file for file in (preparing.folder / "home").rglob("*") if file.is_file()]
    assert [file for file in files if "swordfish" in file.read_text(errors="replace")] == []


def test_a_second_time_nothing_changes(preparing: Preparing, prepared: Answer) -> None:
    again = preparing.labctl("prepare")
    assert (again.code, again.changed, again.host["state"]) == (0, [], "ok")


def test_doctor_has_nothing_left_to_mend_but_the_gpu(host: Machine, prepared: Answer) -> None:
    code, said = host.run("sudo", "-u", "labctl", "labctl", "doctor", "--json")
    findings = {each["name"]: each for each in json.loads(said)["findings"]}
    left = {name for name, each in findings.items() if each["remedy"]}
    assert code == 0, findings
    assert findings["Docker"]["ok"] is True
    assert left <= {"GPU", "cluster"}, findings


def test_what_somebody_else_has_set_for_docker_stays(host: Machine, prepared: Answer) -> None:
    daemon = json.loads(host.ask("cat", "/etc/docker/daemon.json"))
    assert {name: daemon[name] for name in ("debug", "labels")} == {"debug": False, "labels": ["rack=7"]}
    assert set(daemon["registry-mirrors"]) == {"https://own.example.org", "https://mirror.example.org"}
    assert daemon["log-opts"] == {"max-size": "10m", "max-file": "3"}
    assert "default-runtime" not in daemon
    assert "https://own.example.org/" in host.ask("docker", "info")


def test_a_configuration_that_the_engine_refuses_is_taken_back(host: Machine, prepared: Answer) -> None:
    before = json.loads(host.ask("cat", "/etc/docker/daemon.json"))
    refused = play(host, tags="docker", labctl_docker_daemon={"no-such-option": True})
    assert "the old one was put back and it runs again" in refused.failures[-1]
    assert json.loads(host.ask("cat", "/etc/docker/daemon.json")) == before
    assert host.ask("systemctl", "is-active", "docker") == "active"


def test_expired_sessions_are_ended_by_a_timer(host: Machine, prepared: Answer) -> None:
    assert host.ask("systemctl", "is-active", "labctl-gc.timer") == "active"
    host.ask("systemctl", "start", "labctl-gc.service")
    assert "nothing to end" in host.ask("journalctl", "-u", "labctl-gc.service", "-o", "cat")


def test_only_labctl_reads_its_secrets(host: Machine, prepared: Answer) -> None:
    host.run("useradd", "--create-home", "learner")
    assert host.run("cat", "/etc/labctl/secrets.env", user="learner")[0] != 0
    assert host.run("ls", "/var/lib/labctl", user="learner")[0] != 0
    assert "docker" not in host.ask("id", "-nG", "learner").split()
    _, said = host.run("labctl", "doctor", "--json", user="learner")
    assert "/home/learner" in said
    assert "swordfish" not in said


@pytest.fixture(scope="module")
def bundle(docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the roles are told of a bundle with an image and two models, none of which the host has."""
    folder, image = tmp_path_factory.mktemp("bundle"), f"labctl-test/bundled:{uuid.uuid4().hex[:12]}"
    make_image(docker_engine, image)
    try:
        lab = write_lab(folder / "labs", folder / "hub", image)
        chosen = settings.load(os.environ | {"LABCTL_HOME": str(folder / "home"), "LABCTL_MODELS": str(folder / "hub")})
        request = Request(labs=[str(lab)], profile="cpu", parts=["images", "models"], target=folder / "b.tar")
        manifest, _ = make(request, chosen, lambda _step: None)
    finally:
        docker_engine.images.remove(image, force=True)
    return {"labctl_bundle": str(folder / "b.tar"), "labctl_bundle_sha256": manifest.digest, "image": image}


def test_images_and_models_come_out_of_a_bundle_once(host: Machine, prepared: Answer, bundle: dict[str, Any]) -> None:
    told = {name: value for name, value in bundle.items() if name != "image"}
    looked = play(host, tags="models,images", check=True, **told)
    assert looked.failures == []
    assert any("known before" in message for message in looked.messages)
    brought = play(host, tags="models,images", **told)
    assert brought.failures == []
    assert {"models: Load them", "images: Load them"} <= set(brought.changed)
    host.ask("docker", "image", "inspect", bundle["image"], user="labctl")
    assert host.ask("stat", "-c", "%s %U", "/var/lib/labctl/hub/org/big/model.safetensors") == "3000 labctl"
    assert host.ask("sh", "-c", "ls /var/lib/labctl/models/small-*/weights.bin")
    again = play(host, tags="models,images", **told)
    assert (again.failures, again.changed) == ([], [])
