"""What a run has left undone, as the request that does it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labctl.hosts.request import Request
from labctl.hosts.seen import Host, Seen


def rest(request: Request, seen: Seen, roles: Sequence[str]) -> Request | None:
    """`request` again, from the first role that is not done, on the hosts where one is not; None when everything is done.

    `roles` are those of the playbook, in order. Hosts have failed in different roles: it is begun with the earliest, since a role
    that is done changes nothing when it is done again.
    """
    hosts = [host for host in seen.hosts.values() if host.troubles or not seen.over]
    if not hosts:
        return None if seen.over and seen.hosts else request
    wanted = [role for role in roles if not request.roles or role in request.roles]
    first = min(_reached(host, wanted) for host in hosts)
    whole = not seen.over and first == 0  # some hosts may not have been seen yet
    return replace(
        request,
        limit=request.limit if whole else tuple(host.name for host in hosts),
        roles=tuple(wanted[first:]) if first else request.roles,
    )


def _reached(host: Host, roles: Sequence[str]) -> int:
    """The number of the role in which a host failed, or stood when the run ended; 0 where it was none of them."""
    failed = [role for role, part in host.parts.items() if part.troubles] or [host.role]
    return min((roles.index(role) for role in failed if role in roles), default=0)
