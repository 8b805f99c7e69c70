"""An installed package becomes a wheel again, which installs as the first did."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import uv

from labctl.hosts.bundle.wheels import platform_tag, python_tag, repack


def test_an_installed_package_is_packed_again_and_installs(tmp_path: Path) -> None:
    """By a small package of pure Python that is here anyway."""
    distribution = importlib.metadata.distribution("iniconfig")
    wheel = repack(distribution, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [name for name in names if "__pycache__" in name or name.endswith(("INSTALLER", "direct_url.json"))]
    program, target = uv.find_uv_bin(), tmp_path / "target"
    install = [program, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True, timeout=60)
    code = "import iniconfig; print(iniconfig.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(target))
    (installed,) = importlib.metadata.distributions(name="iniconfig", path=[str(target)])
    assert installed.version == distribution.version


def test_the_same_installation_makes_the_same_wheel(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    distribution = importlib.metadata.distribution("iniconfig")
    assert repack(distribution, tmp_path).read_bytes() == repack(distribution, tmp_path / "again").read_bytes()


def test_the_tags_name_this_python_and_this_machine() -> None:
    assert python_tag().startswith("cpython-3")
    assert platform_tag().startswith("linux-")
