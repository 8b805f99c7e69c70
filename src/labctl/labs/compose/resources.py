"""What a service of a Compose file asks of the host: memory, CPU cores, GPUs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown
from labctl.units import MAX_SIZE_MIB

MAX_GPUS = 16
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,9})?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """How many GPUs a service reserves, and which ones if it says so."""

    count: int
    ids: frozenset[str] = frozenset()


def memory_mib(service: Mapping[str, Any], place: str, notes: Notes) -> int | None:
    """The memory limit; None without one."""
    for path in (("mem_limit",), ("deploy", "resources", "limits", "memory")):
        value = _inside(service, *path)
        if value in (None, "", 0, "0"):
            continue
        match = _SIZE.fullmatch(str(value).strip())
        mib = math.ceil(float(match[1]) * _BYTES[match[2].lower()] / 2**20) if match else 0
        if 0 < mib <= MAX_SIZE_MIB:
            return mib
        notes.add(at(place, *path), f"{shown(value)} is no size", "it is not carried over")
    return None


def cpus(service: Mapping[str, Any], place: str, notes: Notes) -> float | None:
    """The limit of CPU cores; None without one."""
    for path in (("cpus",), ("deploy", "resources", "limits", "cpus")):
        value = _inside(service, *path)
        if value in (None, "", 0, "0"):
            continue
        number = float(value) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", str(value)) else 0.0
        if 0 < number <= 1024:
            return number
        notes.add(at(place, *path), f"{shown(value)} is no number of CPU cores", "it is not carried over")
    return None


def gpus(service: Mapping[str, Any], place: str, notes: Notes) -> Gpus | None:
    """The GPUs reserved in any of Compose's three ways; None without one."""
    devices = _inside(service, "deploy", "resources", "reservations", "devices")
    found = []
    for index, device in enumerate(devices if isinstance(devices, list) else ()):
        where = at(place, "deploy", "resources", "reservations", "devices", index)
        if not isinstance(device, dict) or not _is_gpu(device):
            notes.add(where, "is no NVIDIA GPU", "it is not carried over")
        else:
            found.append(_gpus(device, where, notes))
    short = service.get("gpus")
    for index, device in enumerate(short if isinstance(short, list) else [short] if short else ()):
        found.append(_gpus(device if isinstance(device, dict) else {"count": device}, at(place, "gpus", index), notes))
    if not found and service.get("runtime") == "nvidia":
        found.append(Gpus(count=1))
    if not found:
        return None
    return Gpus(count=sum(each.count for each in found), ids=frozenset().union(*(each.ids for each in found)))


def _is_gpu(device: Mapping[str, Any]) -> bool:
    capabilities = device.get("capabilities")
    named = isinstance(capabilities, list) and any("gpu" in (each, *_items(each)) for each in capabilities)
    return device.get("driver") in (None, "nvidia", "cdi", "") and (named or device.get("driver") == "nvidia")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _gpus(device: Mapping[str, Any], place: str, notes: Notes) -> Gpus:
    ids = frozenset(str(id) for id in _items(device.get("device_ids")))
    if ids:
        notes.add(at(place, "device_ids"), "which GPUs is labctl's choice", "the lab asks for as many")
        return Gpus(count=len(ids), ids=ids)
    count = str(device.get("count", "all"))
    if count.isascii() and count.isdigit() and len(count) < 4 and 1 <= int(count) <= MAX_GPUS:
        return Gpus(count=int(count))
    notes.add(
        place, f"{shown(count)} is no number of GPUs for a lab", "the lab asks for 1; change profiles.gpu.gpu.count"
    )
    return Gpus(count=1)


def _inside(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
