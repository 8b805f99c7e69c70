"""A LABCTL_HOME whose labctl speaks to the cluster through a proxy, and the cluster from the side of whoever meddles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.runtimes.docker.labels import home_id
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.labels import namespace
from labctl.sessions.view import SessionView
from tests.conformance.engines import KubernetesEngine
from tests.conformance.homes import Home
from tests.integration.kubernetes.proxy import Proxy

WAIT_S = 60


class ThroughProxy(KubernetesEngine):
    """What labctl sees of the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__()
        self._config = str(kubeconfig)


class FaultyHome(Home):
    """Learner ada's sessions; `api` and `kubectl` reach the cluster past the proxy."""

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.proxy = Proxy(kubeconfig, folder)
        self.api = Api(kubeconfig)
        super().__init__(folder, ThroughProxy(self.proxy.kubeconfig))

    @property
    def namespace(self) -> str:
        return namespace(self.id(), home_id(self.settings.home))

    def kubectl(self, *args: str, stdin: Any = None) -> str:
        """What it says; `stdin` is a manifest. It asks as somebody who is not labctl."""
        said = "" if stdin is None else json.dumps(stdin)
        where = ["kubectl", "-n", self.namespace, *args]
        done = subprocess.run(where, input=said, capture_output=True, text=True, check=False, timeout=WAIT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def beginning(self) -> Iterator[Future[SessionView]]:
        """An `up` that goes on meanwhile; it has ended when the block has."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(self.up)

    def pods(self) -> list[dict[str, Any]]:
        """All that the namespace has."""
        return self.api.items("Pod", self.namespace)

    def deployment(self, name: str) -> dict[str, Any] | None:
        return self.api.find("Deployment", self.namespace, name)
