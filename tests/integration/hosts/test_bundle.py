"""A bundle there and back: a real image, a model that is really built, one of a hub, on a host that lacks them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl.hosts.bundle.make import Request, make
from labctl.images.engine import is_present
from labctl.settings import load as settings
from tests.integration.hosts.bundled import make_image, write_lab

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture
def image(docker_engine: DockerClient) -> Iterator[str]:
    """An image of one small file, on the engine."""
    reference = f"labctl-test/bundled:{uuid.uuid4().hex[:12]}"
    make_image(docker_engine, reference)
    yield reference
    remove(docker_engine, reference)


def remove(engine: DockerClient, reference: str) -> None:
    if is_present(engine, reference):
        engine.images.remove(reference, force=True)


@pytest.fixture
def lab(home: Path, image: str, monkeypatch: pytest.MonkeyPatch) -> str:
    write_lab(home / "labs", home / "hub", image)
    monkeypatch.setenv("LABCTL_MODELS", str(home / "hub"))
    return "bundled"


def labctl(*args: str, **environment: str) -> Any:
    command = [sys.executable, "-m", "labctl", *args, "--json"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def states(answer: Any) -> dict[str, str]:
    return {item["name"].split("-")[0]: item["state"] for item in answer["items"]}


@pytest.mark.docker
def test_a_bundle_brings_image_and_models_to_a_host_without_them(
    home: Path, lab: str, image: str, docker_engine: DockerClient
) -> None:
    made = labctl("bundle", lab, "-o", "b.tar", "--only", "images", "--only", "models")
    assert [entry["reference"] for entry in made["images"]] == [image]
    assert sorted(path.name for path in home.glob("b.tar*")) == ["b.tar"]
    remove(docker_engine, image)
    there = {"LABCTL_HOME": str(home / "there"), "LABCTL_MODELS": str(home / "hub-there")}
    short = image.split("-")[0]

    missing = labctl("unbundle", "b.tar", "--dry-run", **there)
    assert set(states(missing).values()) == {"missing"}
    assert not is_present(docker_engine, image)

    loaded = labctl("unbundle", "b.tar", "--sha256", made["sha256"], **there)
    assert states(loaded) == {short: "loaded", "small": "loaded", "org/big": "loaded"}
    assert is_present(docker_engine, image)
    (small,) = (home / "there" / "models").glob("small-*/weights.bin")
    assert small.stat().st_size == 1000
    assert (home / "hub-there/org/big/model.safetensors").read_bytes() == b"big" * 1000

    again = labctl("unbundle", "b.tar", **there)
    assert (again["changed"], set(states(again).values())) == (False, {"unchanged"})


@pytest.mark.docker
def test_a_model_that_was_changed_is_replaced_and_kept_aside(home: Path, lab: str, docker_engine: DockerClient) -> None:
    labctl("bundle", lab, "-o", "b.tar", "--only", "models")
    (home / "hub/org/big/model.safetensors").write_bytes(b"worn")
    assert states(labctl("unbundle", "b.tar"))["org/big"] == "loaded"
    assert (home / "hub/org/big/model.safetensors").read_bytes() == b"big" * 1000
    assert (home / "hub/org/big.before-1/model.safetensors").read_bytes() == b"worn"


def test_a_damaged_bundle_loads_nothing(home: Path, lab: str) -> None:
    labctl("bundle", lab, "-o", "b.tar", "--only", "models")
    content = bytearray((home / "b.tar").read_bytes())
    content[content.rindex(b"bigbig")] = 0
    (home / "b.tar").write_bytes(content)
    command = [sys.executable, "-m", "labctl", "unbundle", "b.tar"]
    environment = {**os.environ, "LABCTL_HOME": str(home / "there"), "LABCTL_MODELS": str(home / "hub-there")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 7
    assert "models/hub/org/big/model.safetensors is damaged" in done.stderr
    assert not (home / "hub-there").exists()
    assert not list(home.glob("there/models/*"))


def test_another_bundle_than_the_one_asked_for_is_refused(home: Path, lab: str) -> None:
    labctl("bundle", lab, "-o", "b.tar", "--only", "models")
    command = [sys.executable, "-m", "labctl", "unbundle", "b.tar", "--sha256", "0" * 64]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, "is another bundle" in done.stderr) == (7, True)


def test_the_listing_is_the_same_from_run_to_run(home: Path, lab: str) -> None:
    request = Request(labs=[lab], profile="cpu", parts=["models"], target=home / "b.tar")
    first, _ = make(request, settings(), lambda _step: None)
    second, _ = make(request, settings(), lambda _step: None)
    assert first == second
    names = [member.name for member in first.members]
    assert names == sorted(names)


@pytest.mark.slow
def test_labctl_is_installed_from_the_wheels_of_a_bundle_alone(home: Path) -> None:
    import uv

    labctl("bundle", "-o", "b.tar", "--only", "wheels")
    subprocess.run(["tar", "-xf", "b.tar", "wheels", "SHA256SUMS"], cwd=home, check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=home, check=True)
    program = uv.find_uv_bin()
    subprocess.run([program, "venv", "--quiet", "--python", sys.executable, "venv"], cwd=home, check=True)
    offline = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "LABCTL_"))}
    install = ["pip", "install", "--quiet", "--python", "venv", "--no-index", "--find-links", "wheels", "labctl[hub]"]
    subprocess.run([program, *install], cwd=home, env=offline, check=True, timeout=300)
    said = subprocess.run(["venv/bin/labctl", "list", "--quiet"], cwd=home, capture_output=True, text=True, check=True)
    assert "stage1-inference-api" in said.stdout.split()
