"""Compose's names as our ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from labctl.labs.compose.notes import Notes, at
from labctl.labs.spec import RESERVED_SERVICES, is_id

MAX_CHARS = 40


def service_ids(services: Mapping[str, Any], notes: Notes) -> dict[str, str]:
    """Each service's id in the lab, with a note for each that had to change."""
    taken = {name for name in services if _is_free(name)}
    ids = {name: name for name in taken}
    for name in services:
        if name not in ids:
            ids[name] = _unused(_id(name), taken)
            taken.add(ids[name])
            why = "a name that labctl uses itself" if name in RESERVED_SERVICES else "no name for a service of a lab"
            notes.add(at("services", name), f"is {why}", f"it became {ids[name]}, wherever it is named as a host")
    return {name: ids[name] for name in services}


def host_names(services: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]) -> dict[str, str]:
    """Every name under which containers of the Compose file reach a service → its id."""
    names: dict[str, str] = {}
    for name, service in services.items():
        for alias in _aliases(name, service, services):
            names.setdefault(alias[0], ids[alias[1]])
    return names | dict(ids)


def _aliases(name: str, service: Mapping[str, Any], services: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(another name, the service it stands for), from what one service says."""
    for key in ("container_name", "hostname"):
        if isinstance(service.get(key), str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", service[key]):
            yield service[key], name
    networks = service.get("networks")
    for network in networks.values() if isinstance(networks, dict) else ():
        aliases = network.get("aliases") if isinstance(network, dict) else None
        yield from ((str(alias), name) for alias in aliases or () if alias) if isinstance(aliases, list) else ()
    links = service.get("links")
    for link in links if isinstance(links, list) else ():
        other, _, alias = str(link).partition(":")
        if alias and other in services:
            yield alias, other


def _is_free(name: str) -> bool:
    return is_id(name) and name not in RESERVED_SERVICES


def _id(name: str) -> str:
    if name in RESERVED_SERVICES:
        return f"{name}-service"
    id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "service"
    return (id if id[0].isalpha() else f"service-{id}")[:MAX_CHARS].rstrip("-")


def _unused(id: str, taken: Iterable[str]) -> str:
    candidate, number = id if id not in RESERVED_SERVICES else f"{id}-service", 2
    while candidate in taken:
        candidate = f"{id[: MAX_CHARS - 6].rstrip('-')}-{number}"
        number += 1
    return candidate
