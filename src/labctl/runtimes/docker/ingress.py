"""The way in: HAProxy, in a container of its own, passes published ports on to services whose network leads nowhere.

An engine publishes no port of a container that is only on an internal network. Everything but the ingress is only there, so
nothing that runs a learner's code has a way out, not even to the host. The ingress looks a service up by name for each
connection: a service that was replaced, and has another address, is found at once. Where nothing listens yet it says so at once,
as the service itself would: a retry of HAProxy's comes a second later, and a health check would wait for it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FIRST_PORT = 20_000

_HEAD = """\
global
  maxconn 1000
defaults
  mode tcp
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
listen {service}-{port}
  bind :{listen}
  tcp-request inspect-delay 2s
  tcp-request content do-resolve(sess.ip,engine,ipv4) str({service})
  tcp-request content reject unless {{ var(sess.ip) -m found }}
  tcp-request content set-dst var(sess.ip)
  tcp-request content set-dst-port int({target})
  server {service} 0.0.0.0:0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Port `listen` of the ingress leads to port `target`, called `port`, of `service`."""

    service: str
    port: str
    target: int
    listen: int


def routes(ports: Mapping[str, Mapping[str, int]]) -> list[Route]:
    """A route for every port of every service."""
    every = [(service, port, number) for service, own in ports.items() for port, number in own.items()]
    return [
        Route(service=service, port=port, target=number, listen=FIRST_PORT + index)
        for index, (service, port, number) in enumerate(every)
    ]


def configuration(routes: Sequence[Route]) -> str:
    """HAProxy's configuration file. Names are ids of a lab file: words of a-z, 0-9 and dashes."""
    return _HEAD + "".join(
        _ROUTE.format(service=route.service, port=route.port, target=route.target, listen=route.listen)
        for route in routes
    )
