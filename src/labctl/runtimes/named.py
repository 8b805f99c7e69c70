"""What a session's handle says of its services, by their names and those of their ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.target import CannotLook


def service(handle: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What is known of the service. Raises CannotLook when the session has none of this name."""
    services: Mapping[str, Mapping[str, Any]] = handle["services"]
    if name not in services:
        raise CannotLook(f"the session has no service {name!r}; it has {', '.join(services) or 'none'}")
    return services[name]


def port(handle: Mapping[str, Any], of: str, name: str | None) -> tuple[str, int]:
    """Name and number of a port of the service `of`, its first where none is named. Raises CannotLook when it has none such."""
    ports: Mapping[str, int] = service(handle, of)["ports"]
    found = name or next(iter(ports), None)
    if found is None or found not in ports:
        raise CannotLook(f"service {of!r} has no port {name or ''}; it has {', '.join(ports) or 'none'}")
    return found, ports[found]
