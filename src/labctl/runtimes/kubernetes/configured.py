"""Whether there is a cluster to ask, found out without loading a client: most people have none."""

from __future__ import annotations

import os
from pathlib import Path

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
HINT = "set KUBECONFIG to the cluster's file, or put it at ~/.kube/config; `kubectl cluster-info` tries it"


def is_inside() -> bool:
    """Whether this process is a pod of the cluster that it speaks to. KUBECONFIG names another one."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG") and TOKEN.exists()


def is_configured(kubeconfig: str | None) -> bool:
    """Whether a file, or the pod's own account, names a cluster."""
    if kubeconfig:
        return any(Path(each).expanduser().exists() for each in kubeconfig.split(os.pathsep))
    try:
        return is_inside() or Path("~/.kube/config").expanduser().exists()
    except RuntimeError:  # a user without a home folder
        return False
