"""Which Ansible role mends a finding of `doctor`, where one does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from labctl.sessions.finding import Finding

ROLES = {
    "Docker": "docker",
    "GPU": "nvidia_driver",
    "GPUs in Docker": "container_toolkit",
    "MIG": "mig",
    "C compiler": "common",
}
"""By the finding's name; roles of playbooks/prepare.yml."""
_NVIDIA = "0x10de"


def with_roles(findings: Iterable[Finding], *, is_gpu_there: bool) -> Iterator[Finding]:
    """The findings, each that lacks something with the role that mends it. A machine without a GPU needs no driver."""
    for finding in findings:
        role = "" if finding.ok or (finding.name == "GPU" and not is_gpu_there) else ROLES.get(finding.name, "")
        yield replace(finding, role=role) if role else finding


def roles(findings: Iterable[Finding]) -> Sequence[str]:
    """The roles that mend something, each once, in the order in which they are applied."""
    found = {finding.role for finding in findings}
    return [role for role in ("common", "nvidia_driver", "docker", "container_toolkit", "mig") if role in found]


def has_nvidia_device(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether there is a card of NVIDIA in this machine, driver or not."""
    return any(_text(file) == _NVIDIA for file in devices.glob("*/vendor"))


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
