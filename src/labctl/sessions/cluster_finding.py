"""What `doctor` says of a Kubernetes cluster: whether it answers, what it is, what this machine lacks to use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.sessions.context import Context
from labctl.sessions.finding import Finding

if TYPE_CHECKING:
    from labctl.runtimes.kubernetes.api import Api

_NAME = "Kubernetes"
_OLDEST = (1, 29)


def cluster(ctx: Context) -> Iterator[Finding]:
    """One line where a cluster is configured, or wanted; nothing otherwise."""
    from labctl.runtimes.kubernetes.configured import is_configured

    is_wanted = ctx.settings.runtime == "kubernetes"
    if not is_wanted and not is_configured(ctx.settings.kubeconfig):
        return
    from labctl.runtimes.kubernetes.api import Api

    try:
        yield _found(Api(ctx.settings.kubeconfig))
    except LabctlError as error:
        yield Finding(name=_NAME, ok=False if is_wanted else None, detail=error.what, remedy=error.hint)


def _found(api: Api) -> Finding:
    version, nodes = api.get("/version"), api.items("Node")
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    detail = f"{version['gitVersion']}, {count}"
    if shutil.which("kubectl") is None:
        remedy = "`labctl exec`, `shell` and `run` need it: https://kubernetes.io/docs/tasks/tools/"
        return Finding(name=_NAME, ok=False, detail=f"{detail}; no kubectl command", remedy=remedy)
    numbers = tuple(int("".join(filter(str.isdigit, version[part]))) for part in ("major", "minor"))
    if numbers < _OLDEST:
        return Finding(
            name=_NAME, ok=None, detail=detail, remedy=f"labs are meant for {'.'.join(map(str, _OLDEST))} and later"
        )
    return Finding(name=_NAME, ok=True, detail=detail)
