"""Every runtime there is, by name. Loaded on demand: asking for one never imports another's client."""

from __future__ import annotations

import importlib

from labctl.errors import UsageError
from labctl.runtimes.base import Runtime
from labctl.settings import Settings

RUNTIMES = {
    "local": "labctl.runtimes.local.runtime:LocalRuntime",
    "docker": "labctl.runtimes.docker.runtime:DockerRuntime",
    "kubernetes": "labctl.runtimes.kubernetes.runtime:KubernetesRuntime",
}


def names() -> tuple[str, ...]:
    """The names of all runtimes."""
    return tuple(RUNTIMES)


def get(name: str, settings: Settings) -> Runtime:
    """The runtime `name`. Raises UsageError, naming the ones there are."""
    if name not in RUNTIMES:
        raise UsageError(f"this version of labctl has no runtime {name!r}", f"it has: {', '.join(RUNTIMES)}")
    module, _, factory = RUNTIMES[name].partition(":")
    runtime: Runtime = getattr(importlib.import_module(module), factory)(settings)
    return runtime
