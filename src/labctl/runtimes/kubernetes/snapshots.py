"""What runs in the namespaces of a LABCTL_HOME, for whoever only looks: one list a kind answers for a whole class."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from labctl.runtimes.docker.labels import HOME
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.refusals import ApiError

FRESH_S = 0.5
"""So old may be what is only looked at."""
_WORTH, _OLDEST_S = 5.0, 10.0
"""Lists that took long are good for as many times as long: a class of a thousand is listed once for all, not again for each."""
_FORBIDDEN = 403
_SEVERAL = 3
"""As many namespaces looked at within that time make it worth while to list them all."""
KINDS = ("Pod", *kinds.WORKLOADS)
Listed = Mapping[str, list[dict[str, Any]]]
"""Kind → objects."""


class _Forbidden(Exception):
    """This account may look at single namespaces only."""


class Snapshots:
    """Lists of one namespace, or of all those of `home` at once when several are asked for one after the other. Threads share it."""

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._selector = f"{HOME}={home}"
        self._lock = threading.Lock()
        self._asked: deque[tuple[float, str]] = deque(maxlen=64)
        self._taken_at = float("-inf")
        self._fresh_s = FRESH_S
        self._stale_before = float("-inf")
        self._may_list_all = True
        self._found: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def now(self, namespace: str) -> Listed:
        """The namespace as it is."""
        return self._lists(namespace)

    def lately(self, namespace: str) -> Listed:
        """The namespace as it was a moment ago, or is."""
        with self._lock:
            began = time.monotonic()
            if began - self._taken_at < self._fresh_s and self._taken_at > self._stale_before:
                return self._found.get(namespace, {})
            self._asked.append((began, namespace))
            others = {name for at, name in self._asked if began - at < FRESH_S}
            if len(others) >= _SEVERAL and self._may_list_all:
                with suppress(_Forbidden):
                    self._found, self._taken_at = self._all(), began
                    self._fresh_s = _good_for(time.monotonic() - began)
                    return self._found.get(namespace, {})
                self._may_list_all = False
        return self._lists(namespace)

    def changed(self) -> None:
        """Something was changed from here: what was seen before does not count any more."""
        self._stale_before = time.monotonic()

    def _lists(self, namespace: str) -> Listed:
        with ThreadPoolExecutor(len(KINDS)) as pool:
            return dict(zip(KINDS, pool.map(lambda kind: self._api.items(kind, namespace), KINDS), strict=True))

    def _every(self, kind: str) -> list[dict[str, Any]]:
        try:
            return [_without_owners(each) for each in self._api.items(kind, labelSelector=self._selector)]
        except ApiError as error:
            if error.status == _FORBIDDEN:
                raise _Forbidden from error
            raise

    def _all(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        with ThreadPoolExecutor(len(KINDS)) as pool:
            for kind, objects in zip(KINDS, pool.map(self._every, KINDS), strict=True):
                for each in objects:
                    found[each["metadata"]["namespace"]][kind].append(each)
        return found


def _good_for(took_s: float) -> float:
    """How long a list is fresh, from when it was begun."""
    return max(FRESH_S, took_s + min(_WORTH * took_s, _OLDEST_S))


def _without_owners(item: dict[str, Any]) -> dict[str, Any]:
    """Who owns which field is half of an object; who only looks at a class does not ask."""
    item["metadata"].pop("managedFields", None)
    return item
