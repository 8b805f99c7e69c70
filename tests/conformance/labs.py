"""The labs of the suite: plain Python services with an image for runtimes that need one. The same file for every runtime."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

IMAGE = os.environ.get("LABCTL_BASE_IMAGE", "labctl-base:bookworm")
"""An image with python3; read before the tests hide the user's own LABCTL_… settings."""
LAB = "conformance"

_PROGRAMS = Path(__file__).with_name("services")
_HEALTH = {"http": "/", "timeout": "60s", "interval": "50ms"}

Service = dict[str, Any]


def server(*flags: str, **fields: Any) -> Service:
    """A service that answers over HTTP (services/server.py). A dead one stays dead, so that tests see it."""
    own: Service = {
        "command": [*_program("server"), "{{ listen }}", "{{ port('http') }}", *flags],
        "environment": {"LEARNER": "{{ learner }}"},
        "ports": {"http": 8000},
        "healthcheck": _HEALTH,
    }
    return _service(own | fields)


def worker(*steps: str, **fields: Any) -> Service:
    """A service without a port that does `steps` in turn (services/worker.py)."""
    return _service({"command": [*_program("worker"), *steps]} | fields)


def write(folder: Path, services: Mapping[str, Service], **workspace: Any) -> Path:
    """The lab's folder below `folder`, with these services and settings of the workspace. Again: the lab is edited."""
    lab = folder / LAB
    shutil.copytree(_PROGRAMS, lab / "services", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (lab / "workspace").mkdir(exist_ok=True)
    (lab / "workspace" / "readme.txt").write_text("start here\n")
    file = {
        "title": "What every runtime does",
        "stage": 0,
        "minutes": 1,
        "profiles": {"cpu": {"memory": "64MiB", "disk": "1MiB"}},
        "workspace": workspace,
        "services": dict(services),
        "criteria": [
            {
                "id": "there",
                "text": "A page is there",
                "points": 1,
                "hint": "Look",
                "checks": [{"file": {"path": "page"}}],
            }
        ],
    }
    (lab / "lab.yaml").write_text(yaml.safe_dump(file, sort_keys=False, allow_unicode=True))
    return lab


def _service(fields: Service) -> Service:
    return {"image": IMAGE, "restart": "no", "stop_grace_period": "1s", **fields}


def _program(name: str) -> list[str]:
    return ["python3", f"{{{{ lab_path }}}}/services/{name}.py"]
