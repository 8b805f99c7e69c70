"""Events of ansible-runner, one after the other, as what has been seen of a run. Pure: `after(seen, event)` is the next `Seen`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from labctl.hosts.seen import FACTS, Change, Host, Part, Seen, Trouble
from labctl.hosts.words import diff_of, message_of

Event = Mapping[str, Any]
_MAX_SAID = 20


def after(seen: Seen, event: Event) -> Seen:
    """`seen`, and what `event` adds to it; events that say nothing of a host leave it as it is."""
    take = _TAKEN.get(str(event.get("event")))
    return take(seen, event.get("event_data") or {}) if take else _said(seen, event)


def role_of(data: Event) -> str:
    """The role that an event's task belongs to, FACTS where it belongs to none."""
    return str(data.get("role") or FACTS).rpartition(".")[2]  # a collection's role has its collection in front


def _begun(seen: Seen, data: Event) -> Seen:
    """A host has begun a task. Whoever goes on in another role after a failure seems to be rescued from it."""
    host, role = _host(seen, data), _known_role(seen, data)
    parts = {
        name: part if name == role else replace(part, rescued=bool(part.failed)) for name, part in host.parts.items()
    }
    parts.setdefault(role, Part())
    return _with(seen, replace(host, parts=parts, role=role, task=str(data.get("task", "")), note=""), role)


def _ok(seen: Seen, data: Event) -> Seen:
    result = data.get("res") or {}
    task = str(data.get("task", ""))
    if not result.get("changed"):
        return _added(seen, data, lambda part: replace(part, ok=part.ok + 1))
    said = str(result.get("msg", "")) if str(data.get("task_action", "")).endswith("debug") else ""
    change = Change(task=task, diff=diff_of(result), said=said)
    return _added(seen, data, lambda part: replace(part, ok=part.ok + 1, changes=(*part.changes, change)))


def _skipped(seen: Seen, data: Event) -> Seen:
    return _added(seen, data, lambda part: replace(part, skipped=part.skipped + 1))


def _failed(seen: Seen, data: Event) -> Seen:
    trouble = _trouble(seen, data)
    if data.get("ignore_errors"):
        return _added(seen, data, lambda part: replace(part, ignored=(*part.ignored, trouble)))
    return _added(seen, data, lambda part: replace(part, failed=(*part.failed, trouble)))


def _unreachable(seen: Seen, data: Event) -> Seen:
    trouble = replace(_trouble(seen, data), unreachable=True)
    return _added(seen, data, lambda part: replace(part, failed=(*part.failed, trouble)))


def _retried(seen: Seen, data: Event) -> Seen:
    result = data.get("res") or {}
    host = _host(seen, data)
    note = f"attempt {result.get('attempts', '?')} of {result.get('retries', '?')}"
    return _with(seen, replace(host, note=note), _known_role(seen, data))


def _counted(seen: Seen, data: Event) -> Seen:
    """The end: Ansible's own count says which hosts it holds for failed or lost; nobody else is."""
    lost = {**(data.get("failures") or {}), **(data.get("dark") or {})}
    hosts = {name: _judged(host, is_lost=bool(lost.get(name))) for name, host in seen.hosts.items()}
    return replace(seen, hosts=hosts, over=True)


_TAKEN: dict[str, Callable[[Seen, Event], Seen]] = {
    "runner_on_start": _begun,
    "runner_on_ok": _ok,
    "runner_on_skipped": _skipped,
    "runner_on_failed": _failed,
    "runner_on_unreachable": _unreachable,
    "runner_retry": _retried,
    "playbook_on_stats": _counted,
}


def _said(seen: Seen, event: Event) -> Seen:
    if event.get("event") != "verbose":
        return seen
    lines = [line for line in str(event.get("stdout", "")).splitlines() if line.strip()]
    return replace(seen, said=(*seen.said, *lines)[-_MAX_SAID:]) if lines else seen


def _added(seen: Seen, data: Event, change: Callable[[Part], Part]) -> Seen:
    """With the event's part changed, and its task no longer under way."""
    host, role = _host(seen, data), _known_role(seen, data)
    parts = {**host.parts, role: change(host.parts.get(role, Part()))}
    return _with(seen, replace(host, parts=parts, role=role, task="", note=""), role)


def _known_role(seen: Seen, data: Event) -> str:
    """The playbook's role that an event is of; one that another role has taken in is the host's role of the moment."""
    role = role_of(data)
    if role == FACTS or not seen.known or role in seen.known:
        return role
    at = _host(seen, data).role
    return at if at in seen.known else FACTS


def _host(seen: Seen, data: Event) -> Host:
    name = str(data.get("host", ""))
    return seen.hosts.get(name) or Host(name=name)


def _with(seen: Seen, host: Host, role: str) -> Seen:
    roles = seen.roles if role in seen.roles else (*seen.roles, role)
    return replace(seen, roles=roles, hosts={**seen.hosts, host.name: host})


def _trouble(seen: Seen, data: Event) -> Trouble:
    return Trouble(
        host=str(data.get("host", "")),
        role=_known_role(seen, data),
        task=str(data.get("task", "")),
        message=message_of(data.get("res") or {}),
        place=str(data.get("task_path") or ""),
    )


def _judged(host: Host, *, is_lost: bool) -> Host:
    """As Ansible counts it. A lost host may have seemed rescued: handlers of other roles run after a failure too."""
    if is_lost and host.troubles:
        return replace(host, task="", note="")
    parts = {role: replace(part, rescued=not is_lost and bool(part.failed)) for role, part in host.parts.items()}
    return replace(host, parts=parts, task="", note="")


def line_of(event: Event) -> dict[str, Any] | None:
    """An event as programs get it: what a task has come to on a host; None for events that say nothing of one."""
    state = _STATES.get(str(event.get("event")))
    data = event.get("event_data") or {}
    if state is None or not data.get("host"):
        return None
    result = data.get("res") or {}
    line = {"event": "task", "host": data["host"], "role": role_of(data), "task": data.get("task", ""), "state": state}
    if state == "ok" and result.get("changed"):
        return {**line, "state": "changed", "diff": diff_of(result)}
    if state == "failed" and data.get("ignore_errors"):
        line["state"] = "ignored"
    if state in ("failed", "unreachable"):
        return {**line, "message": message_of(result), "place": data.get("task_path") or ""}
    return line


_STATES = {
    "runner_on_start": "running",
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_retry": "retrying",
}
