"""k8s/ as values: rendered where there is a kustomize, and as the plain files of its folders where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3] / "k8s"
BASE = ROOT / "base"
COMPONENTS = sorted(path.parent.name for path in ROOT.glob("components/*/kustomization.yaml"))
STANDALONE = (BASE, ROOT / "kueue")
OLDEST_KUBECTL = 27
"""Its kustomize is 5.0; Debian's kubectl 1.20 has one of 2019."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


@cache
def renderer() -> tuple[str, ...] | None:
    """The command that renders a folder; None where there is none that is new enough."""
    if shutil.which("kustomize"):
        return ("kustomize", "build")
    if shutil.which("kubectl") is None:
        return None
    told = subprocess.run(
        ["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=False, timeout=30
    )
    minor = json.loads(told.stdout or "{}").get("clientVersion", {}).get("minor", "0").rstrip("+")
    return ("kubectl", "kustomize") if int(minor) >= OLDEST_KUBECTL else None


@cache
def rendered(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would apply."""
    command = renderer()
    assert command is not None
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@cache
def plain() -> list[Manifest]:
    """Every manifest of base and components as it is written, without what kustomize makes of them."""
    return [each for file in _files() for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def kustomization(folder: Path) -> Manifest:
    found: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return found


def pod(manifest: Manifest) -> Manifest:
    """The pod that a workload makes."""
    spec: Manifest = manifest["spec"]
    spec = spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec
    made: Manifest = spec["template"]["spec"]
    return made


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in WORKLOADS]


def name(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _files() -> Iterator[Path]:
    for folder in (BASE, *(ROOT / "components" / each for each in COMPONENTS), ROOT / "kueue"):
        yield from (folder / file for file in kustomization(folder).get("resources", []))
