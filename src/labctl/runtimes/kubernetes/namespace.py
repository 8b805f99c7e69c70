"""One session's namespace: what is in it now, and what can be done with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labctl.errors import EngineError
from labctl.runtimes.docker.labels import DIGEST, ROLE, home_id
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import kinds, labels
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.feed import Feed
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.runtimes.kubernetes.seen import Seen, event_words, liveliest, seen
from labctl.runtimes.kubernetes.snapshots import Listed, Snapshots

LASTING = ("service", "workspace")
"""Roles of what runs as long as the session does."""
_AT_ONCE = 8
_SPARE_S = 120.0
"""So long after its own grace a pod may need to be gone."""


class Cluster:
    """The API, and the watch that everybody in this process shares. `namespace`: the only one that this account may look at."""

    def __init__(self, home: Path, kubeconfig: str | None, namespace: str | None = None) -> None:
        home_of = home_id(home)
        self.api = Api(kubeconfig)
        self.feed = Feed(self.api, home_of, namespace)
        self.snapshots = Snapshots(self.api, home_of)


class Namespace:
    """Asks the cluster and tells it; keeps nothing but what `refresh` saw. `handle` says what the session should have.

    Methods raise ApiError, an EngineError.
    """

    def __init__(self, cluster: Cluster, folder: SessionFolder, handle: Mapping[str, Any]) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.folder = folder
        self.handle = handle
        self.home = home_id(folder.home)
        self.name = labels.namespace(folder.session, self.home)
        self.pods: list[Seen] = []
        self.workloads: dict[str, Mapping[str, Any]] = {}
        self._by_part: dict[str, Seen] = {}

    @property
    def session(self) -> str:
        return self.folder.session

    def refresh(self) -> Namespace:
        """Look at everything that runs."""
        return self._show(self.cluster.snapshots.now(self.name))

    def glance(self) -> Namespace:
        """The same for who only looks: what was seen a moment ago will do, unless this process has changed something since."""
        return self._show(self.cluster.snapshots.lately(self.name))

    def _show(self, found: Listed) -> Namespace:
        self.see([seen(pod) for pod in found.get("Pod", ())])
        every = [{**each, "kind": kind} for kind in kinds.WORKLOADS for each in found.get(kind, ())]
        self.workloads = {each["metadata"]["name"]: each for each in every}
        return self

    def require(self) -> None:
        """Return while it is there. Raises EngineError when it was deleted, or is being."""
        if self._is_deleted():
            lab = self.handle.get("lab", self.session)
            raise EngineError(
                f"the namespace {self.name} was deleted by somebody",
                f"`labctl up {lab}` waits until it is gone, and makes it anew",
            )

    def loss(self) -> str:
        """Why nothing runs, in words."""
        return "its namespace was deleted by somebody" if self._is_deleted() else "nothing of it is in the cluster"

    def see(self, pods: Sequence[Seen]) -> None:
        """These are its pods now."""
        self.pods = list(pods)
        self._by_part = liveliest(pod for pod in self.pods if pod.role in (*LASTING, "build"))

    def pod(self, part: str) -> Seen | None:
        """The pod that stands for a part, as it was last seen."""
        return self._by_part.get(part)

    def ready(self, part: str, digest: str = "") -> int:
        """How many pods of a part may be asked; those that were declared like this, when `digest` is given."""
        own = [pod for pod in self.pods if pod.part == part and pod.role in LASTING and not pod.is_ending]
        return sum(pod.ready and digest in ("", pod.digest) for pod in own)

    def parts(self, roles: Sequence[str] = LASTING) -> list[str]:
        """The parts that have a Deployment or a Job."""
        return [name for name, each in self.workloads.items() if _label(each, ROLE) in roles]

    def digest(self, part: str) -> str:
        """What the part's Deployment or Job was declared from."""
        return str((self.workloads[part]["metadata"].get("annotations") or {}).get(DIGEST, ""))

    def age_s(self, pod: Seen) -> float:
        """Seconds since its main container started; 0 while it has not."""
        return (datetime.now(UTC) - pod.started_at).total_seconds() if pod.started_at else 0.0

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the cluster noted of the object with this name, and of what it made."""
        return self.api.items("Event", self.name, fieldSelector=f"involvedObject.name={name}")

    def complaint(self, pod: Seen) -> str:
        """What the newest warning says of a pod, in words; empty when there is none."""
        return event_words(self.events(pod.name))

    def last_lines(self, part: str, count: int) -> list[str]:
        """The end of a part's log; empty when there is none."""
        pod = self.pod(part)
        return self.log(pod, part, count).decode(errors="replace").splitlines()[-count:] if pod else []

    def log(self, pod: Seen, part: str, count: int) -> bytes:
        """The last `count` lines of a pod's log. One that waits to be started again tells of the start before."""
        where = kinds.path("Pod", self.name, pod.name) + "/log"
        is_between = pod.waits == "CrashLoopBackOff"
        try:
            return self.api.text(where, container=part, tailLines=count, previous=str(is_between).lower())
        except ApiError as error:
            if error.status not in (400, 404):  # it has not started, or is gone
                raise
            return pod.said.encode()

    def end(self, parts: Sequence[str], *, grace_s: int | None = None) -> None:
        """Delete the Deployments and Jobs of these parts, and wait until their pods are gone."""
        there = [part for part in parts if part in self.workloads]
        with self.cluster.feed.followed(), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._delete, there))
            self.end_pods([pod for pod in self.pods if pod.part in parts], grace_s=grace_s)
        for part in parts:
            self.workloads.pop(part, None)
            self._by_part.pop(part, None)

    def end_pods(self, pods: Sequence[Seen], *, grace_s: int | None = None) -> None:
        """Delete these pods and those that come in their place, and wait until they are gone."""
        parts, feed = {(pod.part, pod.role) for pod in pods}, self.cluster.feed
        longest = max([float(grace_s if grace_s is not None else self.grace_s(pod.part)) for pod in pods], default=0.0)
        deadline = time.monotonic() + longest + _SPARE_S
        asked = set[str]()
        with feed.followed():
            while left := [pod for pod in feed.pods(self.name) if (pod.part, pod.role) in parts and not pod.has_ended]:
                version = feed.version
                for pod in left:
                    if pod.uid not in asked and (not pod.is_ending or grace_s is not None):
                        asked.add(pod.uid)
                        self.api.delete(kinds.path("Pod", self.name, pod.name), grace_s=grace_s)
                if time.monotonic() > deadline:
                    raise _stuck(self.name, left[0])
                feed.wait(version, 1.0)

    def grace_s(self, part: str) -> float:
        """So long a part may take to end."""
        return float(self.handle.get("services", {}).get(part, {}).get("grace_s", 30.0))

    def _is_deleted(self) -> bool:
        found = self.api.find("Namespace", None, self.name)
        return found is None or "deletionTimestamp" in found["metadata"]

    def _delete(self, part: str) -> None:
        self.api.delete(kinds.path(str(self.workloads[part]["kind"]), self.name, part))


def _stuck(namespace: str, pod: Seen) -> EngineError:
    return EngineError(
        f"pod/{pod.name} does not end: node {pod.node or '(none)'} does not say that its processes are gone",
        f"is the node there? `kubectl get node {pod.node}`; if it never comes back: "
        f"`kubectl -n {namespace} delete pod {pod.name} --force`, then the same command again",
    )


def _label(manifest: Mapping[str, Any], name: str) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(name, ""))
