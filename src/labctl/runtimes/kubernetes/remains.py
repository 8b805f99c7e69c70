"""Everything in the cluster that bears a LABCTL_HOME's label and is not just a learner's files."""

from __future__ import annotations

from labctl.runtimes.base import Remain
from labctl.runtimes.docker.labels import EXPIRES, HOME, SESSION
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.labels import ENDED


def of_home(api: Api, home: str) -> list[Remain]:
    """Namespaces of sessions in which something may run; those that hold but a workspace, or are ending, do not count."""
    found = api.items("Namespace", labelSelector=f"{HOME}={home},{SESSION},!{ENDED}")
    return [
        Remain(
            session=each["metadata"]["labels"][SESSION],
            what=f"namespace {each['metadata']['name']}",
            expires_at=(each["metadata"].get("annotations") or {}).get(EXPIRES),
        )
        for each in found
        if not each["metadata"].get("deletionTimestamp")
    ]
