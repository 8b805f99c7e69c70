"""labctl and all that it imports, as wheels in a folder: what pip installs where there is no index."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import os
import platform
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from labctl import index
from labctl.images import own
from labctl.progress import Progress, Step
from labctl.runtimes.cache import Children, Failed, make_once, refuse
from labctl.runtimes.local.envs import uv_binary

_NEVER_PACKED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def python_tag() -> str:
    """The Python that the wheels are for, for example cpython-311."""
    return str(sys.implementation.cache_tag)


def platform_tag() -> str:
    """The machine that the wheels are for, for example linux-x86_64."""
    return f"{sysconfig.get_platform()}-{platform.libc_ver()[0] or 'unknown'}"


def collect(folder: Path, progress: Progress) -> list[Path]:
    """Wheels of labctl with all its extras, and of what they need in the versions that run here; made once in `folder`.

    Raises PreflightError with what uv or pip said.
    """
    children = Children()

    def build(lock: int) -> None:
        progress(Step(name="wheels", state="started"))
        making = folder.with_name(f".{folder.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for command in _commands(making):
            children.run(command, env=_environ(), cwd=making, lock=lock, on_line=_told(progress))
        making.replace(folder)

    try:
        made = make_once(folder, "wheels", progress, build)
    except Failed as error:
        progress(Step(name="wheels", state="failed", detail=str(error)))
        refuse(
            "the wheels of labctl could not be brought together",
            error.lines,
            "is the package index reached? `pip download labctl`",
        )
    except BaseException:
        children.end()
        raise
    found = sorted(folder.glob("*.whl"))
    progress(Step(name="wheels", state="done" if made else "unchanged", detail=f"{len(found)} files"))
    return found


def repack(distribution: importlib.metadata.Distribution, folder: Path) -> Path:
    """The installed package as a wheel again: what is installed is what goes along, wherever it came from."""
    files = dict(_installed(distribution))
    info = f"{distribution.name}-{distribution.version}.dist-info"
    wheel = folder / f"{distribution.name}-{distribution.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*files.items(), (f"{info}/RECORD", _record(files, info))]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return wheel


def _commands(folder: Path) -> Iterator[list[str]]:
    uv = uv_binary()
    checkout = own.PACKAGE.parents[1]
    if (checkout / "pyproject.toml").is_file():
        yield [uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(folder), str(checkout)]
    else:
        repack(importlib.metadata.distribution("labctl"), folder)
    (wheel,) = folder.glob("labctl-*.whl")
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(_versions().items())))
    pip = [uv, "tool", "run", "--python", sys.executable, "--from", "pip", "pip"]
    wanted = f"labctl[{','.join(_extras())}] @ {wheel.as_uri()}"
    yield [*pip, "wheel", "--quiet", "--wheel-dir", str(folder), "--constraint", str(constraints), wanted]


def _extras() -> Sequence[str]:
    return importlib.metadata.metadata("labctl").get_all("Provides-Extra") or []


def _versions() -> Mapping[str, str]:
    """What is installed beside labctl; its own local builds and folders have versions that no index knows."""
    found = {each.name: each.version for each in importlib.metadata.distributions() if each.name != "labctl"}
    return {name: version for name, version in found.items() if "+" not in version}


def _installed(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    for file in sorted(distribution.files or [], key=str):
        path = PurePosixPath(str(file))
        is_code = ".." not in path.parts and not path.is_absolute() and "__pycache__" not in path.parts
        if is_code and path.name not in _NEVER_PACKED:
            yield str(path), Path(str(file.locate())).read_bytes()


def _record(files: Mapping[str, bytes], info: str) -> bytes:
    """The list of a wheel's files with their sums, as PEP 376 has it."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([f"{info}/RECORD", "", ""])
    return text.getvalue().encode()


def _environ() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    return {**inherited, **index.for_uv(), "NO_COLOR": "1", "UV_NO_PROGRESS": "1", "PIP_PROGRESS_BAR": "off"}


def _told(progress: Progress) -> Callable[[str], None]:
    return lambda line: progress(Step(name="wheels", state="progress", detail=line[:200]))
