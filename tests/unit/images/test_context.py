"""What a build is given, and what it is not."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from labctl import settings
from labctl.images import catalog, context
from labctl.images.catalog import Image

CHOSEN = settings.load({"USER": "ada", "HOME": "/nonexistent", "LABCTL_BASE_IMAGE": "base:1"})
NOWHERE = {"HOME": "/nonexistent", "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image with an environment, a shared folder, and files that must not go along."""
    root = tmp_path / "docker"
    files = {
        "probe/image.yaml": "summary: a test\nbase: python\nenv: web\nshared: [tools]\n",
        "probe/Dockerfile": "ARG BASE_IMAGE=x\nFROM ${BASE_IMAGE} AS build\nARG UV_INDEX\narg environment=web\n",
        "probe/.dockerignore": "# not for the build\n*.log\nimage.yaml\n",
        "probe/a.log": "noise",
        "probe/__pycache__/a.pyc": "noise",
        "probe/start.sh": "#!/bin/sh\n",
        "shared/tools/make.sh": "#!/bin/sh\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "probe/start.sh").chmod(0o700)
    return catalog.find("probe", root)


def packed(image: Image, folder: Path, **environ: str) -> dict[str, tarfile.TarInfo]:
    with context.pack(image, "cpu", folder, {**NOWHERE, **environ}) as file, tarfile.open(fileobj=file) as tar:
        return {entry.name: entry for entry in tar}


def test_the_context_has_the_layout_of_the_checkout(image: Image, tmp_path: Path) -> None:
    entries = packed(image, tmp_path)
    assert {name for name in entries if not name.endswith(".dockerignore")} == {
        "docker/probe/Dockerfile",
        "docker/probe/start.sh",
        "docker/shared/tools/make.sh",
        "labs/envs/web.txt",
        "build/ca-bundle.crt",
    }


def test_owners_times_and_umask_of_this_host_stay_out(image: Image, tmp_path: Path) -> None:
    entries = packed(image, tmp_path)
    assert {(e.uid, e.gid, e.mtime, e.uname) for e in entries.values()} == {(0, 0, 0, "")}
    assert entries["docker/probe/start.sh"].mode == 0o755
    assert entries["docker/probe/Dockerfile"].mode == 0o644


def test_the_hosts_certificates_go_along_and_none_is_an_empty_file(image: Image, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificate")
    assert packed(image, tmp_path)["build/ca-bundle.crt"].size == 0
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        assert packed(image, tmp_path, **{name: str(tmp_path / "ca.pem")})["build/ca-bundle.crt"].size == 11


def test_only_wheels_that_the_lock_pins_go_along(image: Image, tmp_path: Path) -> None:
    pinned = next(line for line in context_lock(image).splitlines() if line.startswith("h11=="))
    version = pinned.partition("==")[2]
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in (f"h11-{version}+cpu-py3-none-any.whl", "h11-0.0.1-py3-none-any.whl", "torch-2.0-py3-none-any.whl"):
        (wheels / name).touch()
    found = [name for name in packed(image, tmp_path, PIP_FIND_LINKS=str(wheels)) if name.startswith("build/wheels/")]
    assert found == [f"build/wheels/h11-{version}+cpu-py3-none-any.whl"]
    assert context.local_wheels(context_lock(image), "gpu", {"UV_FIND_LINKS": str(wheels)}) == []


def test_pins_with_hashes_markers_and_extras_are_read(tmp_path: Path) -> None:
    (tmp_path / "My_Pack-1.0-py3-none-any.whl").touch()
    text = "my-pack[extra]==1.0 ; python_version >= '3' \\\n    --hash=sha256:00\n"
    assert len(context.local_wheels(text, "cpu", {**NOWHERE, "UV_FIND_LINKS": f"file://{tmp_path}"})) == 1


def test_arguments_are_those_that_the_dockerfile_declares(image: Image) -> None:
    environ = {
        **NOWHERE,
        "PIP_EXTRA_INDEX_URL": "https://a.example/simple",
        "PIP_INDEX_URL": "https://b.example/simple",
    }
    given = context.arguments(image, "cpu", CHOSEN, environ)
    assert given == {"BASE_IMAGE": "base:1", "UV_INDEX": "https://a.example/simple"}


def test_folders_of_this_host_are_no_index_for_a_build() -> None:
    environ = {
        **NOWHERE,
        "UV_INDEX": "file:///srv/simple https://a.example/simple",
        "UV_FIND_LINKS": "/srv,https://c.example/",
    }
    assert context.package_index(environ) == {
        "UV_INDEX": "https://a.example/simple",
        "UV_FIND_LINKS": "https://c.example/",
    }


def test_proxies_go_along_without_being_declared(image: Image) -> None:
    given = context.arguments(image, "cpu", CHOSEN, {**NOWHERE, "https_proxy": "http://proxy.example:3128"})
    assert given["https_proxy"] == "http://proxy.example:3128"


def context_lock(image: Image) -> str:
    lock = catalog.lock(image, "cpu")
    assert lock is not None
    return lock.read_text()
