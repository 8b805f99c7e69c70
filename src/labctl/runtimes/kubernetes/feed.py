"""What happens to the pods of a LABCTL_HOME: one watch for all its sessions, shared by everybody in this process who waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from labctl.runtimes.docker.labels import HOME
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import PATIENCE_S, Api
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.runtimes.kubernetes.seen import Seen, seen

_WATCH_S = 20
"""So long the server keeps one watch open; the next goes on where it ended."""
_SILENT_S = _WATCH_S + 5
"""A connection over which not even the end of the watch comes is dead, whatever it looks like."""
_PAUSE_S = 0.5
_EXPIRED = 410


class Feed:
    """The pods that bear the label of `home`, by namespace, as the cluster's watch tells of them; with `namespace` those in it only.

    It runs in a thread of its own for as long as somebody follows. A watch that has expired begins anew with a list.
    """

    def __init__(self, api: Api, home: str, namespace: str | None = None) -> None:
        self._api = api
        self._where = kinds.path("Pod", namespace)
        self._selector = f"{HOME}={home}"
        self._changed = threading.Condition()
        self._pods: dict[str, tuple[str, Seen]] = {}
        self._followers = 0
        self._is_running = False
        self._is_listed = False
        self._problem: ApiError | None = None
        self.version = 0

    @contextmanager
    def followed(self) -> Iterator[Feed]:
        """It runs meanwhile, and has listed what there is."""
        with self._changed:
            self._followers += 1
            if not self._is_running:
                self._is_running, self._is_listed, self._problem = True, False, None
                threading.Thread(target=self._run, name="pods of this home", daemon=True).start()
            while not self._is_listed and self._problem is None:
                self._changed.wait(1.0)
        try:
            self._refuse()
            yield self
        finally:
            with self._changed:
                self._followers -= 1

    def pods(self, namespace: str) -> list[Seen]:
        """The pods of a namespace. Raises ApiError when the cluster could not be asked for too long."""
        self._refuse()
        with self._changed:
            return [pod for where, pod in self._pods.values() if where == namespace]

    def wait(self, version: int, timeout_s: float) -> None:
        """Return when something is newer than `version`, or after `timeout_s` at the latest."""
        with self._changed:
            if self.version == version:
                self._changed.wait(timeout_s)

    def _refuse(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        failing_since: float | None = None
        mark = ""
        while self._goes_on():
            try:
                mark = mark or self._list()
                failing_since = None
                mark = self._watch(mark)
            except ApiError as error:
                mark = ""
                if error.status == _EXPIRED:
                    continue
                failing_since = failing_since or time.monotonic()
                if not self._is_listed or time.monotonic() - failing_since > PATIENCE_S:
                    self._give_up(error)
                    return
                time.sleep(_PAUSE_S)

    def _goes_on(self) -> bool:
        with self._changed:
            if not self._followers:
                self._is_running = False
            return self._is_running

    def _give_up(self, error: ApiError) -> None:
        with self._changed:
            self._problem, self._is_running = error, False
            self._changed.notify_all()

    def _list(self) -> str:
        """Where the watch begins."""
        answer = self._api.get(self._where, labelSelector=self._selector)
        pods = {pod["metadata"]["uid"]: (pod["metadata"]["namespace"], seen(pod)) for pod in answer["items"] or []}
        with self._changed:
            self._pods, self._is_listed = pods, True
            self._tell()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, mark: str) -> str:
        """Where the next one goes on."""
        query = {"watch": "true", "resourceVersion": mark, "timeoutSeconds": _WATCH_S, "allowWatchBookmarks": "true"}
        for line in self._api.lines(self._where, silent_s=_SILENT_S, labelSelector=self._selector, **query):
            event = json.loads(line)
            what = event["object"]
            if event["type"] == "ERROR":
                raise ApiError(f"the cluster ended the watch: {what.get('message')}", status=int(what.get("code") or 0))
            mark = str(what["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                self._take(event["type"], what)
            if not self._followers:
                break
        return mark

    def _take(self, kind: str, pod: Mapping[str, Any]) -> None:
        with self._changed:
            uid = pod["metadata"]["uid"]
            if kind == "DELETED":
                self._pods.pop(uid, None)
            else:
                self._pods[uid] = (pod["metadata"]["namespace"], seen(pod))
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()
