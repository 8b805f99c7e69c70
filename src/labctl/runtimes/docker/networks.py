"""Networks: one for each session, on which nothing but its own containers can be reached, and one that ports are published on."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.disk import locked
from labctl.errors import EngineError
from labctl.images.engine import engine_errors
from labctl.runtimes.docker import labels
from labctl.runtimes.docker.parts import FRONT_NETWORK, INTERNAL_NETWORK

if TYPE_CHECKING:
    from docker import DockerClient

_PREFIX = 26  # 60 containers a session; an engine's own pools would be used up after some thirty sessions
_FRONT = "labctl-ingress"
_LOCK = "ingress.lock"
_TRIES = 64
_IN_USE = (403, 409)
_RELEASE_S = 3.0


def find(client: DockerClient, session: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The networks of a session: one, none, or more after an accident."""
    with engine_errors():
        found: list[Mapping[str, Any]] = client.api.networks(filters=labels.matching(session))
    return found


def is_as_wanted(network: Mapping[str, Any], *, egress: bool) -> bool:
    """Whether the network lets out exactly what it should."""
    return bool(network["Internal"]) is not egress


def create(
    client: DockerClient, name: str, marks: Mapping[str, str], *, egress: bool, pool: str, containers: int
) -> str:
    """A session's network for so many containers, a part of `pool`; its id.

    Without `egress` not even the host has an address on it.
    """
    api: Any = client.api
    options = {} if egress else dict(INTERNAL_NETWORK)
    refused, number = "", 1
    prefix = min(_PREFIX, 32 - (containers + 3).bit_length())
    for subnet in _candidates(client, marks[labels.SESSION] + marks[labels.HOME], pool, prefix):
        try:
            with engine_errors():
                made = api.create_network(
                    name if number == 1 else f"{name}-{number}",
                    driver="bridge",
                    internal=not egress,
                    check_duplicate=False,
                    options=options,
                    ipam={"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
                    labels=dict(marks),
                )
                return str(made["Id"])
        except EngineError as error:
            if not any(word in error.what.lower() for word in ("overlap", "pool", "conflict", "already exists")):
                raise
            refused = error.what
            number += "already exists" in refused  # the name is for people: whoever has it keeps it
    raise EngineError(
        f"no free range of addresses for the network {name} in {pool}: {refused}",
        "end sessions (`labctl status`, `labctl gc`), or give another range: export LABCTL_SUBNETS=10.99.0.0/16",
    )


def front(client: DockerClient, home: Path) -> str:
    """The id of the network that the ingresses of this LABCTL_HOME publish ports on; made when there is none."""
    marks = _of_front(home)
    with locked(home / _LOCK), engine_errors():
        found = client.api.networks(filters=labels.matching(marks))
        if found:
            return str(found[0]["Id"])
        name = f"{_FRONT}-{marks[labels.HOME][:6]}"  # an engine knows networks by name, and would take two for one
        made = client.api.create_network(name, driver="bridge", options=dict(FRONT_NETWORK), labels=marks)
        return str(made["Id"])


def remove_front(client: DockerClient, home: Path) -> None:
    """Remove it unless some ingress is still on it."""
    import docker.errors

    with locked(home / _LOCK), engine_errors():
        for network in client.api.networks(filters=labels.matching(_of_front(home))):
            try:
                client.api.remove_network(network["Id"])
            except docker.errors.APIError as error:  # in use (403), or somebody else removed it (404)
                if error.status_code not in (*_IN_USE, 404):
                    raise


def remove(client: DockerClient, network: str) -> bool:
    """Remove a network with everything that is still on it cut off first; whether it is gone now.

    An engine may hold on to an endpoint of a container that is no more, for a moment or until it is started again: then
    the empty network stays, bears its labels, and `gc` tries again.
    """
    import docker.errors

    deadline = time.monotonic() + _RELEASE_S
    with engine_errors():
        while True:
            try:
                for container in client.api.inspect_network(network).get("Containers") or {}:
                    client.api.disconnect_container_from_network(container, network, force=True)
                client.api.remove_network(network)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code not in _IN_USE:
                    raise
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
            else:
                return True


def _of_front(home: Path) -> dict[str, str]:
    return {labels.HOME: labels.home_id(home), labels.SHARED: "ingress"}


def _candidates(client: DockerClient, seed: str, pool: str, prefix: int) -> Iterator[IPv4Network]:
    """Subnets to try, from a place of the session's own on, so that many that begin at once do not all try the same."""
    with engine_errors():
        taken = [
            IPv4Network(config["Subnet"])
            for network in client.api.networks()
            for config in network["IPAM"]["Config"] or []
            if "Subnet" in config and ":" not in config["Subnet"]
        ]
    whole = IPv4Network(pool)
    count = 1 << max(0, prefix - whole.prefixlen)
    first = zlib.crc32(seed.encode()) % count
    tried = 0
    for index in range(count):
        base = int(whole.network_address) + ((first + index) % count << (32 - prefix))
        subnet = IPv4Network((base, max(prefix, whole.prefixlen)))
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet
            tried += 1
            if tried >= _TRIES:
                return
