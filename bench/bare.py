"""The floor under labctl on Docker: the engine's bare API told to make, and to end, the same networks and containers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import docker
import docker.errors

from labctl.runtimes.exchange import NoAnswer, exchange

AT_ONCE = 8
_MARK = "labctl-bench.bare"
_OWN = ("Image", "Cmd", "Entrypoint", "Env", "User", "WorkingDir", "Hostname", "ExposedPorts", "OpenStdin")
_GRACE_S = 10
_POLL_S = 0.02
_DEADLINE_S = 120


class Bare:
    """Makes sessions after the pattern of one that labctl made, `AT_ONCE` at once. `session` is its id."""

    def __init__(self, session: str) -> None:
        self._api: Any = docker.APIClient(max_pool_size=32, timeout=120)
        seen = [self._api.inspect_container(each["Id"]) for each in self._labelled(f"labctl.session={session}")]
        by_role = {each["Config"]["Labels"]["labctl.role"]: each for each in seen}
        self._service, self._ingress = by_role["service"], by_role["ingress"]
        self._network = self._api.networks(filters={"label": f"labctl.session={session}"})[0]
        self._front = self._api.networks(filters={"label": "labctl.shared"})[0]

    def up(self, count: int) -> float:
        """Seconds until `count` sessions answer over HTTP."""
        begun = time.perf_counter()
        front = self._make_network(self._front, "labctl-bench-ingress", None)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(self._session, front), range(count)))
        return time.perf_counter() - begun

    def down(self) -> float:
        """Seconds until everything that `up` made is gone."""
        begun = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._end, self._labelled(_MARK)))
            list(pool.map(self._remove_network, self._api.networks(filters={"label": _MARK})))
        return time.perf_counter() - begun

    def _session(self, front: str, number: int) -> None:
        subnet = f"10.214.{number // 4}.{number % 4 * 64}/26"
        network = self._make_network(self._network, f"labctl-bench-{number}", subnet)
        self._api.start(self._make(self._service, number, network))
        ingress = self._make(self._ingress, number, front)
        self._api.connect_container_to_network(ingress, network)
        self._api.start(ingress)
        ports = self._api.inspect_container(ingress)["NetworkSettings"]["Ports"]
        _await_answer(next(int(bound[0]["HostPort"]) for bound in ports.values() if bound))

    def _make_network(self, like: Mapping[str, Any], name: str, subnet: str | None) -> str:
        made = self._api.create_network(
            f"{name}-{uuid4().hex[:8]}",  # the engine finds a container's network by name, and may have kept an old one
            driver="bridge",
            internal=like["Internal"],
            options=like["Options"],
            ipam={"Driver": "default", "Config": [{"Subnet": subnet}]} if subnet else None,
            labels={_MARK: name},
        )
        return str(made["Id"])

    def _make(self, like: Mapping[str, Any], number: int, network: str) -> str:
        alias = like["Config"]["Hostname"]
        config = {name: like["Config"].get(name) for name in _OWN} | {
            "Labels": {_MARK: str(number), "labctl.role": like["Config"]["Labels"]["labctl.role"]},
            "HostConfig": {**like["HostConfig"], "NetworkMode": network},
            "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [alias]}}},
        }
        return str(self._api.create_container_from_config(config, f"labctl-bench-{number}-{alias}")["Id"])

    def _end(self, container: Mapping[str, Any]) -> None:
        """As labctl does: a service is stopped with its grace, an ingress holds nothing that it could lose."""
        if container["Labels"]["labctl.role"] == "service":
            self._api.stop(container["Id"], timeout=_GRACE_S)
        self._api.remove_container(container["Id"], force=True, v=True)

    def _remove_network(self, network: Mapping[str, Any]) -> None:
        try:
            self._api.remove_network(network["Id"])
        except (
            docker.errors.APIError
        ) as error:  # Docker 20.10 may keep an endpoint whose container is gone, until it restarts
            if error.status_code != 403:
                raise
            print(f"the engine does not let go of the network {network['Name']}: {error.explanation}", flush=True)

    def _labelled(self, label: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._api.containers(all=True, filters={"label": label})
        return found


def _await_answer(port: int) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if exchange(port, "/", timeout_s=3, max_bytes=1024).status < 400:
                return
        except NoAnswer:
            pass
        time.sleep(_POLL_S)
    raise SystemExit(f"nothing answered on port {port} within {_DEADLINE_S} s")
