"""Compose's ports as ours: a name and the number inside the container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown
from labctl.labs.spec import is_id

WEB = frozenset({80, 3000, 3001, 4000, 4040, 5000, 5001, 5601, 6006, 6333, 7860, 9000, 9001, 9090, 9091, 9093, 9200})
WEB |= frozenset({9411, 9999, 10000, 11434, 15672, 16686, *range(7000, 7010), *range(8000, 9000)}) - {8443, 8883}
"""Ports that speak HTTP, as far as one can tell from the number."""
KNOWN = {3306: "mysql", 5432: "postgres", 6379: "redis", 27017: "mongo", 5672: "amqp", 4317: "otlp", 443: "https"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """`published` is the port of the host, empty when Compose may choose."""

    number: int
    name: str = ""
    published: str = ""


def ports(service: Mapping[str, Any], place: str, notes: Notes) -> dict[int, str]:
    """Number → name of each port in `ports` and `expose`, in the file's order."""
    found: dict[int, str] = {}
    fixed = []
    for key in ("ports", "expose"):
        for index, entry in enumerate(as_list(service.get(key), at(place, key), notes)):
            port = _port(entry, at(place, key, index), notes)
            if port is not None:
                add(found, port.number, port.name)
                fixed += [f"{port.published} (of {port.number})"] if port.published and key == "ports" else []
    if fixed:
        what = f"the host's {'port' if len(fixed) == 1 else 'ports'} {', '.join(fixed)} cannot be promised"
        notes.add(at(place, "ports"), what, "labctl takes free ones of 127.0.0.1; `labctl status` shows them")
    return found


def add(found: dict[int, str], number: int, name: str = "") -> str:
    """Put a port into `found` unless it is there; its name."""
    if number not in found:
        usual = "http" if number in WEB else KNOWN.get(number, "")
        own = "" if name.startswith("port-") else name  # the last resort must stay free
        named = (own, usual, f"port-{number}")
        found[number] = next(each for each in named if is_id(each) and each not in found.values())
    return found[number]


def as_list(value: Any, place: str, notes: Notes) -> list[Any]:
    """A list as it is, nothing as none, one value as a list of it."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        notes.add(place, "a mapping where a list belongs", "it is not carried over")
        return []
    return [] if value in (None, "") else [value]


def _port(entry: Any, place: str, notes: Notes) -> Port | None:
    fields = _long(entry) if isinstance(entry, dict) else _short(entry)
    if fields.pop("protocol") != "tcp":
        notes.add(place, f"{shown(_text(entry))} is no TCP port", "a lab has TCP ports only; it is not carried over")
        return None
    numbers = list(_numbers(str(fields.pop("target"))))
    if not numbers:
        notes.add(place, f"{shown(_text(entry))} is no port", "it is not carried over")
        return None
    if len(numbers) > 1:
        notes.add(place, f"{shown(_text(entry))} is a range", f"only {numbers[0]} is carried over; name the others")
    return Port(number=numbers[0], **fields)


def _long(entry: Mapping[str, Any]) -> dict[str, str]:
    published = entry.get("published")
    return {
        "target": str(entry.get("target", "")),
        "protocol": str(entry.get("protocol") or "tcp").lower(),
        "name": str(entry.get("name") or ""),
        "published": "" if published in (None, 0, "0") else str(published),
    }


def _short(entry: Any) -> dict[str, str]:
    """`[[ip:]host:]container[/protocol]`; the ip may be [::1]."""
    address, _, protocol = str(entry).strip().partition("/")
    host, _, target = address.rpartition(":")
    return {
        "target": target,
        "protocol": (protocol or "tcp").lower(),
        "name": "",
        "published": host.rpartition(":")[2].rstrip("]"),
    }


def _numbers(text: str) -> Iterator[int]:
    first, _, last = text.strip().partition("-")
    for number in (first, last) if last != first else (first,):
        if number.isascii() and number.isdigit() and len(number) <= 5 and 1 <= int(number) <= 65535:
            yield int(number)


def _text(entry: Any) -> str:
    return f"{entry.get('target')}/{entry.get('protocol')}" if isinstance(entry, dict) else str(entry)
