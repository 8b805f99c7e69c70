"""What a build is given: the files, the host's certificates, wheels of local folders, and where packages come from.

The layout is the checkout's own (`docker/NAME/…`, `labs/envs/…`), plus `build/`, so that `docker build -f docker/NAME/Dockerfile .`
by hand and a build by labctl are the same build. Certificates and the index are for build stages; the last stage never sees them.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from labctl import index
from labctl.images import own
from labctl.images.catalog import Image, base, lock, shared_folders
from labctl.settings import Settings

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
_ARG = re.compile(r"^\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE | re.IGNORECASE)
_NAME = re.compile(r"[-_.]+")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def pack(image: Image, profile: str, folder: Path, environ: Mapping[str, str] | None = None) -> IO[bytes]:
    """The context as an open tar file among temporary files in `folder`, which is gone when it is closed."""
    environ = os.environ if environ is None else environ
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - handed on; a wheel in it may have 200 MB
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, path in _files(image, profile):
            _add(tar, name, path)
        bundle = ca_bundle(environ)
        _add_bytes(tar, "build/ca-bundle.crt", bundle.read_bytes() if bundle else b"")
        found = lock(image, profile)
        for wheel in local_wheels(found.read_text(encoding="utf-8"), profile, environ) if found else ():
            _add(tar, f"build/wheels/{wheel.name}", wheel)
    file.seek(0)
    return file


def dockerfile(image: Image) -> str:
    """Where the Dockerfile is in the context."""
    return f"docker/{image.name}/Dockerfile"


def arguments(
    image: Image, profile: str, settings: Settings, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Build arguments: base, environment, package index, proxies; only those that the Dockerfile declares."""
    environ = os.environ if environ is None else environ
    found = lock(image, profile)
    given = {
        "BASE_IMAGE": base(image, profile, settings) or "",
        "ENVIRONMENT": found.stem if found else "",
        **package_index(environ),
    }
    declared = set(_ARG.findall((image.folder / "Dockerfile").read_text(encoding="utf-8")))
    chosen = {name: value for name, value in given.items() if value and name in declared}
    return {**chosen, **_proxies(environ)}


def package_index(environ: Mapping[str, str]) -> dict[str, str]:
    """uv's settings for the inside of a build: folders of this host are not there, so only what has an address stays."""
    uv = {**index.for_uv(environ), **{name: value for name, value in environ.items() if name.startswith("UV_")}}
    remote = {
        "UV_INDEX": " ".join(_remote(uv.get("UV_INDEX", "").split())),
        "UV_DEFAULT_INDEX": " ".join(_remote([uv.get("UV_DEFAULT_INDEX", "") or uv.get("UV_INDEX_URL", "")])),
        "UV_FIND_LINKS": ",".join(_remote(re.split(r"[,\s]+", uv.get("UV_FIND_LINKS", "")))),
        "UV_INSECURE_HOST": uv.get("UV_INSECURE_HOST", ""),
    }
    if remote["UV_INDEX"]:
        remote["UV_INDEX_STRATEGY"] = uv.get("UV_INDEX_STRATEGY", "")
    return {name: value for name, value in remote.items() if value}


def ca_bundle(environ: Mapping[str, str]) -> Path | None:
    """The certificates that this host's user trusts beside the public ones; None when nobody named any."""
    named = [environ.get(name, "") for name in _BUNDLES] + [index.for_uv(environ).get("SSL_CERT_FILE", "")]
    return next((Path(name) for name in named if name and Path(name).is_file()), None)


def local_wheels(lock_text: str, profile: str, environ: Mapping[str, str]) -> list[Path]:
    """Wheels in folders of this host, named by pip's or uv's `find-links`, of exactly what the lock pins.

    A build cannot see these folders; all their wheels might be gigabytes. A wheel such as torch-2.13.0+cpu is none for a GPU,
    and would be preferred there to the right one of the index.
    """
    pins = {_normal(name): _public(version) for name, version in _PIN.findall(lock_text)}
    links = {**index.for_uv(environ), **environ}.get("UV_FIND_LINKS", "")
    folders = [Path(unquote(urlsplit(place).path) if place.startswith("file:") else place) for place in _split(links)]
    wheels = {wheel.name: wheel for folder in reversed(folders) for wheel in sorted(folder.glob("*.whl"))}
    fit = [wheel for wheel in wheels.values() if pins.get(_wheel_name(wheel)) == _public(_wheel_version(wheel))]
    return [wheel for wheel in fit if profile == "cpu" or not _wheel_version(wheel).endswith("+cpu")]


def _files(image: Image, profile: str) -> Iterator[tuple[str, Path]]:
    if image.spec.labctl:
        yield from own.files()  # the image's own folder and the shared ones are among them
        return
    found = lock(image, profile)
    yield from _folder(f"docker/{image.name}", image.folder)
    for folder in shared_folders(image):
        yield from _folder(f"docker/shared/{folder.name}", folder)
    if found is not None:
        yield f"labs/envs/{found.name}", found


def _folder(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of `folder` that its .dockerignore lets through, by their name in the context."""
    from docker.utils.build import exclude_paths

    ignore = folder / ".dockerignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for path in sorted(exclude_paths(str(folder), [*patterns, "**/__pycache__"])):
        if (folder / path).is_file():
            yield f"{name}/{path}", folder / path


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as content:
        size = os.fstat(content.fileno()).st_size
        tar.addfile(_entry(name, size, executable=os.access(path, os.X_OK)), content)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_entry(name, len(content), executable=False), io.BytesIO(content))


def _entry(name: str, size: int, *, executable: bool) -> tarfile.TarInfo:
    """An entry without owner, umask or time, which would differ from host to host and spoil the engine's cache."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o755 if executable else 0o644
    return entry


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Docker knows these arguments without an ARG, and leaves them out of the image's history."""
    names = [name for upper in _PROXIES for name in (upper, upper.lower())]
    return {name: environ[name] for name in names if environ.get(name)}


def _remote(places: list[str]) -> list[str]:
    return [place for place in places if "://" in place and not place.split("=", 1)[-1].startswith("file:")]


def _split(places: str) -> list[str]:
    """The folders of this host among uv's list of places."""
    found = [place for place in re.split(r"[,\s]+", places) if place]
    return [place for place in found if place.startswith("file:") or "://" not in place]


def _normal(name: str) -> str:
    return _NAME.sub("-", name).lower()


def _public(version: str) -> str:
    """A version without its local part: a lock that says 2.13.0 means the build 2.13.0+cpu as well."""
    return version.partition("+")[0]


def _wheel_name(wheel: Path) -> str:
    return _normal(wheel.name.split("-")[0])


def _wheel_version(wheel: Path) -> str:
    return unquote(wheel.name).partition("-")[2].partition("-")[0]
