"""The lines of a part's log, as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labctl.errors import NotFoundError
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.namespace import Namespace


def lines(namespace: Namespace, service: str, *, follow: bool, since_s: float | None) -> Iterator[str]:
    """Oldest first. With `follow` it goes on until the container ends. Raises NotFoundError when there is no pod."""
    pod = namespace.refresh().pod(service)
    if pod is None:
        lab = namespace.handle.get("lab", namespace.session)
        raise NotFoundError(f"{service} has no pod in {namespace.name}", f"`labctl up {lab}` brings it back")
    query: dict[str, Any] = {"container": service, "follow": str(follow).lower()}
    if since_s is not None:
        query["sinceSeconds"] = str(max(1, round(since_s)))
    if pod.waits == "CrashLoopBackOff":
        query["previous"] = "true"
    where = kinds.path("Pod", namespace.name, pod.name) + "/log"
    for line in namespace.api.lines(where, **query):
        yield line.decode(errors="replace").rstrip("\r")
