"""Networks: one for each session, on which nothing but its own containers can be reached, and one that ports are published on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from labctl.errors import EngineError
from labctl.images.engine import engine_errors
from labctl.runtimes.docker import labels

if TYPE_CHECKING:
    from docker import DockerClient

POOL = "10.213.0.0/16"
_PREFIX = 26  # 60 containers a session; an engine's own pools would be used up after some thirty sessions
_FRONT = "labctl-ingress"
_TRIES = 64


def find(client: DockerClient, session: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The networks of a session: one, none, or more after an accident."""
    with engine_errors():
        found: list[Mapping[str, Any]] = client.api.networks(filters=labels.matching(session))
    return found


def is_as_wanted(network: Mapping[str, Any], *, egress: bool) -> bool:
    """Whether the network lets out exactly what it should."""
    return bool(network["Internal"]) is not egress


def create(client: DockerClient, name: str, marks: Mapping[str, str], *, egress: bool, pool: str = POOL) -> str:
    """A session's network; its id. Without `egress` not even the host has an address on it."""
    api: Any = client.api
    options = {} if egress else {"com.docker.network.bridge.inhibit_ipv4": "true"}
    refused = ""
    for subnet in _candidates(client, marks[labels.SESSION] + marks[labels.HOME], pool):
        try:
            with engine_errors():
                made = api.create_network(
                    name,
                    driver="bridge",
                    internal=not egress,
                    check_duplicate=False,
                    options=options,
                    ipam={"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
                    labels=dict(marks),
                )
                return str(made["Id"])
        except EngineError as error:
            if not any(word in error.what.lower() for word in ("overlap", "pool", "conflict")):
                raise
            refused = error.what
    raise EngineError(
        f"no free range of addresses for the network {name} in {pool}: {refused}",
        "end sessions (`labctl status`, `labctl gc`), or give another range: export LABCTL_SUBNETS=10.99.0.0/16",
    )


def front(client: DockerClient) -> str:
    """The id of the network that ingresses publish ports on; made when there is none. Its containers do not see each other."""
    marks = {labels.SHARED: "ingress"}
    with engine_errors():
        found = client.api.networks(filters=labels.matching(marks))
        if found:
            return str(min(network["Id"] for network in found))
        made = client.api.create_network(
            _FRONT,
            driver="bridge",
            options={
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.enable_ip_masquerade": "false",
            },
            labels=marks,
        )
        return str(made["Id"])


def remove_front(client: DockerClient) -> None:
    """Remove it unless some ingress is still on it."""
    import docker.errors

    with engine_errors():
        for network in client.api.networks(filters=labels.matching({labels.SHARED: "ingress"})):
            try:
                client.api.remove_network(network["Id"])
            except docker.errors.APIError as error:  # in use (403), or somebody else removed it (404)
                if error.status_code not in (403, 404, 409):
                    raise


def remove(client: DockerClient, network: str) -> None:
    """Remove a network with everything that is still on it cut off first. Nothing happens when it is gone."""
    import docker.errors

    with engine_errors():
        try:
            for container in client.api.inspect_network(network).get("Containers") or {}:
                client.api.disconnect_container_from_network(container, network, force=True)
            client.api.remove_network(network)
        except docker.errors.NotFound:
            return


def _candidates(client: DockerClient, seed: str, pool: str) -> Iterator[IPv4Network]:
    """Subnets to try, from a place of the session's own on, so that many that begin at once do not all try the same."""
    with engine_errors():
        taken = [
            IPv4Network(config["Subnet"])
            for network in client.api.networks()
            for config in network["IPAM"]["Config"] or []
            if "Subnet" in config and ":" not in config["Subnet"]
        ]
    whole = IPv4Network(pool)
    count = 1 << max(0, _PREFIX - whole.prefixlen)
    first = zlib.crc32(seed.encode()) % count
    tried = 0
    for index in range(count):
        base = int(whole.network_address) + ((first + index) % count << (32 - _PREFIX))
        subnet = IPv4Network((base, max(_PREFIX, whole.prefixlen)))
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet
            tried += 1
            if tried >= _TRIES:
                return
