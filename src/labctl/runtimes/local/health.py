"""Whether services are ready, by their health checks."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.runtimes.exchange import PROBE_ADDRESS, NoAnswer, connects, exchange
from labctl.runtimes.local import environment

PROBE_S = 3.0
COMMAND_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe needs to know of a service. `healthcheck` is the lab file's, None when there is none."""

    name: str
    healthcheck: Mapping[str, Any] | None
    ports: Mapping[str, int]
    env: Mapping[str, str]
    cwd: str


def probed(handle: Mapping[str, Any], name: str) -> Probed:
    """The service `name` of a session, for `probe`."""
    service = handle["services"][name]
    return Probed(
        name=name,
        healthcheck=service["healthcheck"],
        ports=service["ports"],
        env={**environment.of_host(), **service["environment"]},
        cwd=handle["workspace"],
    )


def probe_all(services: Sequence[Probed]) -> dict[str, str]:
    """Why each service is not ready, by name; an empty text when it is. They are asked at the same time."""
    if len(services) < 2:
        return {service.name: probe(service) for service in services}
    from concurrent.futures import ThreadPoolExecutor  # 20 ms to import: not for one service

    with ThreadPoolExecutor(min(len(services), 16)) as pool:
        return dict(zip([service.name for service in services], pool.map(probe, services), strict=True))


def probe(service: Probed) -> str:
    """Why the service is not ready, in a few words; an empty text when it is, or when it has no health check."""
    check = service.healthcheck
    if check is None:
        return ""
    if check["command"] is not None:
        return _command(check["command"], service)
    port = service.ports[check["port"] or next(iter(service.ports))]
    try:
        return _http(check["http"], port) if check["http"] else _tcp(port)
    except NoAnswer as error:
        return f"GET {check['http']}: {error}" if check["http"] else str(error)


def _tcp(port: int) -> str:
    connects(port, PROBE_S, PROBE_ADDRESS)
    return ""


def _http(path: str, port: int) -> str:
    answer = exchange(port, path, timeout_s=PROBE_S, max_bytes=1024, source=PROBE_ADDRESS)
    return "" if answer.status < 400 else f"GET {path} answered {answer.status}"


def _command(command: Sequence[str], service: Probed) -> str:
    try:
        done = subprocess.run(
            command,
            env=dict(service.env),
            cwd=service.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {COMMAND_S:g}s"
    except OSError as error:
        return f"{command[0]} cannot be run: {error.strerror}"
    return "" if done.returncode == 0 else f"{command[0]} exited with {done.returncode}"
