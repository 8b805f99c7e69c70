"""Sessions that have expired are ended from inside the cluster, by what their namespaces say of themselves: no store, no laptop.

What the learner wrote stays, as after `labctl down`: claims, and the fences around them. The next `up` goes on there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from labctl.errors import EngineError
from labctl.runtimes.docker.labels import EXPIRES, SESSION
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.labels import ENDED, MANAGED_BY, OURS
from labctl.runtimes.kubernetes.standing import hanging

HANGS = timedelta(minutes=2)
"""A namespace that has been going for longer needs somebody to look."""
_AT_ONCE = 8
_RUNS = ("Deployment", "Job", "Pod")
_BELONGS = ("Secret", "ConfigMap")
What = Literal["ended", "ending", "due", "hangs", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """A session that was looked at closely. `ending`: its pods are still stopping, the next round goes on; `due`: a dry run
    left it; `hangs`: its namespace is being deleted and does not go; `unclear`: nobody knows when it ends. `problem` is what
    went wrong, empty when nothing did.
    """

    session: str
    namespace: str
    what: What
    why: str = ""
    problem: str = ""


def reap(api: Api, now: datetime, *, selector: str = "", dry_run: bool = False) -> list[Reaped]:
    """End every session whose time is over; what was done, or could not be. One that cannot be ended keeps no other from it.

    `selector`: only those whose namespaces bear these labels, for example labctl.cohort=autumn. May be called again at any time, by several at once. Raises ApiError when the cluster does not tell which sessions there are.
    """
    ours = f"{MANAGED_BY}={OURS},{SESSION}"
    every = api.items("Namespace", labelSelector=f"{ours},{selector}" if selector else ours)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(partial(_look, api, now, dry_run), every))
    return [each for each in found if each is not None]


def _look(api: Api, now: datetime, dry_run: bool, namespace: Mapping[str, Any]) -> Reaped | None:
    """What is done about one; None when there is nothing to do."""
    about = partial(Reaped, session=_session(namespace), namespace=namespace["metadata"]["name"])
    going_since = namespace["metadata"].get("deletionTimestamp")
    if going_since:
        hangs = now - datetime.fromisoformat(going_since) > HANGS
        return about(what="hangs", problem=hanging(namespace).what) if hangs else None
    try:
        if not _is_due(namespace, now):
            return None
        why = f"expired at {_expiry(namespace):%Y-%m-%d %H:%M} UTC"
        what = "due" if dry_run else _end(api, namespace, now)
        return about(what=what, why=why) if what else None
    except ValueError:
        return about(what="unclear", problem=f"{EXPIRES} is {_expires(namespace)!r}, which is no time")
    except EngineError as error:
        return about(what="ending", problem=error.what)


def _end(api: Api, namespace: Mapping[str, Any], now: datetime) -> What | None:
    """End what runs, then what only that needed; that all of it is gone is marked last. None: it is not due any more."""
    name = namespace["metadata"]["name"]
    fresh = api.find("Namespace", None, name)
    if fresh is None or not _is_due(fresh, now):  # it was extended, or ended, while others were being ended
        return None
    selector = f"{SESSION}={_session(namespace)}"
    for kind in _RUNS:
        api.delete(kinds.path(kind, name), labelSelector=selector)
    for service in api.items("Service", name, labelSelector=selector):  # old servers delete no Services by label
        api.delete(kinds.path("Service", name, service["metadata"]["name"]))
    if api.items("Pod", name, labelSelector=selector):
        return "ending"
    for kind in _BELONGS:
        api.delete(kinds.path(kind, name), labelSelector=selector)
    api.merge(kinds.path("Namespace", None, name), _marked(now))
    return "ended"


def _marked(now: datetime) -> dict[str, Any]:
    when = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"labels": {ENDED: "true"}, "annotations": {ENDED: when}}}


def _is_due(namespace: Mapping[str, Any], now: datetime) -> bool:
    """Whether its time is over and it was not ended yet. Raises ValueError for an expiry that is no time."""
    metadata = namespace["metadata"]
    is_over = ENDED in metadata["labels"] or "deletionTimestamp" in metadata
    return not is_over and bool(_expires(namespace)) and _expiry(namespace) <= now


def _expiry(namespace: Mapping[str, Any]) -> datetime:
    found = datetime.fromisoformat(_expires(namespace))
    if found.tzinfo is None:
        raise ValueError(f"{found} is in no time zone")
    return found


def _expires(namespace: Mapping[str, Any]) -> str:
    return str((namespace["metadata"].get("annotations") or {}).get(EXPIRES, ""))


def _session(namespace: Mapping[str, Any]) -> str:
    return str(namespace["metadata"]["labels"][SESSION])


def problems(found: Sequence[Reaped]) -> list[str]:
    """A line for each that needs somebody to look."""
    return [f"{each.namespace}: {each.problem}" for each in found if each.problem]
