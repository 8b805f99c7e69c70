"""Who has asked a session's services lately, by the kernel's list of TCP connections: there is no proxy to count requests.

A connection that has ended stays in the list for a minute (TIME_WAIT), so whoever looks once a minute misses only those
that were broken off. What is asked over a connection that stays open is not seen: the GPU shows that it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

import psutil

from labctl.runtimes.exchange import NOTEBOOK, PROBE_ADDRESS
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import processes

_NO_REQUEST = (psutil.CONN_LISTEN, psutil.CONN_SYN_SENT, psutil.CONN_SYN_RECV, psutil.CONN_NONE, psutil.CONN_CLOSE)


class _Asked(NamedTuple):
    """One connection: the service's port, and where its other end is."""

    port: int
    address: str
    client: int


def marker(handle: Mapping[str, Any], folder: SessionFolder) -> str:
    """Another text when there are other connections to the session's services than at the last look; "" for none.

    Not counted: labctl's own health checks, JupyterLab, whose page asks all the time, also when nobody sits before it, and what the session's processes have asked, as long as their connection is
    open: of one that has ended the kernel does not tell whose it was. Nothing is counted where the list is not ours to see.
    """
    services = [service for name, service in handle.get("services", {}).items() if name != NOTEBOOK]
    ports = {int(port) for service in services for port in service["ports"].values()}
    if not ports:
        return ""
    found = _connections(ports)
    if not found:
        return ""
    own = {each.pid for each in processes.with_children(processes.find(folder.marks))}
    inner = {asked for asked, pid in found if pid in own}
    asked = {asked for asked, _ in found if asked.address != PROBE_ADDRESS} - inner
    return hashlib.sha256(repr(sorted(asked)).encode()).hexdigest()[:16] if asked else ""


def _connections(ports: set[int]) -> list[tuple[_Asked, int | None]]:
    """Each connection to one of `ports`, seen from either end, with the process at its other end where that is told."""
    try:
        every = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    found: list[tuple[_Asked, int | None]] = []
    for each in every:
        if not each.laddr or not each.raddr or each.status in _NO_REQUEST:
            continue
        near, far = _plain(each.laddr.ip), _plain(each.raddr.ip)
        if each.laddr.port in ports:
            found.append((_Asked(each.laddr.port, far, each.raddr.port), None))
        elif each.raddr.port in ports and ip_address(far).is_loopback:
            found.append((_Asked(each.raddr.port, near, each.laddr.port), each.pid))
    return found


def _plain(address: str) -> str:
    """The same from either end: a server that listens on IPv6 too sees an IPv4 client in its own way."""
    return address.removeprefix("::ffff:")
