"""The way in: HAProxy, in a container of its own, passes published ports on to services whose network leads nowhere.

An engine publishes no port of a container that is only on an internal network. Everything but the ingress is only there, so
nothing that runs a learner's code has a way out, not even to the host. The ingress looks a service up by name for each
connection: a service that was replaced, and has another address, is found at once. Where nothing listens yet it says so at once,
as the service itself would: a retry of HAProxy's comes a second later, and a health check would wait for it.

labctl's own health checks come in by doors of their own, so that what is counted at the others are requests: `contstats`
counts while a connection is open, every few seconds. Pure.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIRST_PORT = 20_000
FIRST_DOOR = 30_000
STATISTICS_PORT = 19_999
"""On the ingress's own loopback interface: only what the engine executes in it can ask."""

_HEAD = """\
global
  maxconn 1000
  stats socket ipv4@127.0.0.1:{statistics} level user
defaults
  mode tcp
  option contstats
  retries 0
  timeout connect 3s
  timeout client 1h
  timeout server 1h
  timeout tunnel 24h
resolvers engine
  nameserver embedded 127.0.0.11:53
  timeout resolve 200ms
  timeout retry 200ms
  hold valid 0s
  hold nx 0s
  hold other 0s
  hold refused 0s
  hold timeout 0s
"""
_ROUTE = """\
listen {name}
  bind :{listen}
  tcp-request inspect-delay 2s
  tcp-request content do-resolve(sess.ip,engine,ipv4) str({service})
  tcp-request content reject unless {{ var(sess.ip) -m found }}
  tcp-request content set-dst var(sess.ip)
  tcp-request content set-dst-port int({target})
  server {service} 0.0.0.0:0
"""

ASK = ("bash", "-c", f'exec 3<>"/dev/tcp/127.0.0.1/{STATISTICS_PORT}"; echo "show stat" >&3; cat <&3')
"""What the engine executes in the ingress to have its statistics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Port `listen` of the ingress leads to port `target`, called `port`, of `service`.

    So does `door`, which is for labctl's health checks; None when they do not ask this port over HTTP.
    """

    service: str
    port: str
    target: int
    listen: int
    door: int | None = None

    @property
    def name(self) -> str:
        return f"{self.service}:{self.port}"  # a colon is in no id: no two routes share a name


def routes(ports: Mapping[str, Mapping[str, int]], asked: Collection[tuple[str, str]] = ()) -> list[Route]:
    """A route for every port of every service; those (service, port) that are `asked` have a door."""
    every = [(service, port, number) for service, own in ports.items() for port, number in own.items()]
    return [
        Route(
            service=service,
            port=port,
            target=number,
            listen=FIRST_PORT + index,
            door=FIRST_DOOR + index if (service, port) in asked else None,
        )
        for index, (service, port, number) in enumerate(every)
    ]


def revived(values: Sequence[Mapping[str, Any]]) -> list[Route]:
    """The routes that `asdict` and JSON have made `values` of."""
    return [Route(**each) for each in values]


def configuration(routes: Sequence[Route]) -> str:
    """HAProxy's configuration file. Names are ids of a lab file: words of a-z, 0-9 and dashes."""
    return _HEAD.format(statistics=STATISTICS_PORT) + "".join(
        _ROUTE.format(name=name, service=route.service, listen=listen, target=route.target)
        for route in routes
        for name, listen in _ways(route)
    )


def asked(statistics: str, routes: Sequence[Route], *, chatty: Collection[str] = ()) -> tuple[int, int]:
    """Connections, and bytes that came in over them, at all routes since HAProxy began, by its answer to `show stat`.

    Doors are not counted, nor bytes of services that are `chatty`. Raises ValueError when it is no such answer.
    """
    services = {route.name: route.service for route in routes}
    rows = list(csv.DictReader(statistics.lstrip("# ").splitlines()))
    if not rows:
        raise ValueError("no statistics")
    own = [row for row in rows if row.get("svname") == "FRONTEND" and row.get("pxname") in services]
    bytes_in = sum(int(row["bin"]) for row in own if services[row["pxname"]] not in chatty)
    return sum(int(row["stot"]) for row in own), bytes_in


def _ways(route: Route) -> Iterator[tuple[str, int]]:
    yield route.name, route.listen
    if route.door is not None:
        yield f"door:{route.name}", route.door
