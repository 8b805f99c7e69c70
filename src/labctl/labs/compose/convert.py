"""A whole Compose file: (its mapping) → (the mapping of a lab file, notes). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labctl.errors import LabFileError
from labctl.labs.compose.criteria import criteria
from labctl.labs.compose.leftovers import note_file
from labctl.labs.compose.names import host_names, service_ids
from labctl.labs.compose.notes import Note, Notes, at
from labctl.labs.compose.resources import MAX_GPUS
from labctl.labs.compose.service import Drawn, draw, finish
from labctl.labs.compose.texts import Texts
from labctl.labs.compose.variables import Variables
from labctl.units import MAX_SIZE_MIB

GUESSED_MIB = 512
"""What is set aside for a service that has no memory limit."""
LEAST_MIB = 1024


def convert(data: Mapping[str, Any], *, title: str, stage: int) -> tuple[dict[str, Any], list[Note]]:
    """The lab file, and what a person must look at. Raises LabFileError when there is no service in it."""
    notes = Notes()
    variables = Variables(notes)
    entries = variables.expand(_entries(data, notes), "services")
    note_file(data, notes)
    ids = service_ids(entries, notes)
    drawn = [draw(name, ids[name], entry, notes) for name, entry in entries.items()]
    named = {(each.id, number): port for each in drawn for number, port in each.ports.items()}
    texts = Texts(host_names(entries, ids), named, notes)
    services = {each.id: finish(each, ids, texts, notes) for each in drawn}
    variables.note()
    _note_surroundings(data, notes)
    lab = {
        "title": title,
        "stage": stage,
        "minutes": 30,
        "summary": "One or two sentences that make a learner want to start.",
        "objectives": ["what the learner can do afterwards"],
        "profiles": _profiles(drawn, notes),
        "workspace": {"image": "docker/workspace"},
        "services": services,
        "criteria": criteria(services),
    }
    return lab, _in_order(notes, entries)


def _in_order(notes: Notes, entries: Mapping[str, Any]) -> list[Note]:
    """Notes of the whole file first, then those of each service together."""
    places = {at("services", name): number for number, name in enumerate(entries, 1)}

    def number(note: Note) -> int:
        heads = [note.place[:end] for end, char in enumerate(f"{note.place}.") if char in ".["]
        return next((places[head] for head in reversed(heads) if head in places), 0)

    return sorted(notes, key=number)


def _entries(data: Mapping[str, Any], notes: Notes) -> dict[str, dict[str, Any]]:
    services = data.get("services")
    if "services" not in data and any(isinstance(value, dict) and "image" in value for value in data.values()):
        raise LabFileError("services are written as in Compose's first version", "put them below a key `services:`")
    if not isinstance(services, dict) or not services:
        raise LabFileError("there are no services in it", "a Compose file has `services:`, each with a name")
    found = {}
    for name, entry in services.items():
        if name.startswith("x-"):
            continue
        if not isinstance(entry, dict | None):
            notes.add(at("services", name), "is no mapping", "it is not carried over")
        else:
            found[name] = entry or {}
    if not found:
        raise LabFileError("none of its services is a mapping", "a service has `image:` or `build:`")
    return found


def _profiles(drawn: Sequence[Drawn], notes: Notes) -> dict[str, Any]:
    """One size, as Compose knows no other: gpu when a service reserves a GPU, else cpu."""
    unlimited = [each.id for each in drawn if each.memory_mib is None]
    total = sum(each.memory_mib or GUESSED_MIB for each in drawn)
    if unlimited:
        what = f"no memory limit for {', '.join(unlimited[:8])}{'…' if len(unlimited) > 8 else ''}"
        notes.add("services", what, f"{GUESSED_MIB} MiB each are a guess; change the profile's memory")
    size: dict[str, Any] = {"memory": f"{min(max(total, LEAST_MIB), MAX_SIZE_MIB)}MiB"}
    cores = [each.cpus for each in drawn if each.cpus]
    if cores:
        size["cpus"] = max(cores)
    reserved = [each.gpus for each in drawn if each.gpus]
    if not reserved:
        return {"cpu": size}
    count = max(len(frozenset().union(*(each.ids for each in reserved))), *(each.count for each in reserved))
    users = ", ".join(each.id for each in drawn if each.gpus)
    notes.add("services", f"{users}: reserves GPUs", "the lab has the profile gpu only; say how much memory it needs")
    return {"gpu": {**size, "gpu": {"count": min(count, MAX_GPUS)}}}


def _note_surroundings(data: Mapping[str, Any], notes: Notes) -> None:
    networks = data.get("networks")
    inner = (
        [isinstance(each, dict) and each.get("internal") is True for each in networks.values()]
        if isinstance(networks, dict)
        else []
    )
    if not inner or not all(inner):
        notes.add("services", "Compose lets them reach the internet, a lab does not", "add `egress: true` if they must")
    notes.add(
        "services",
        "they run as the learner, read-only; a command of the lab file's starts in the workspace, not in the image's folder",
        "tmpfs names what a service may write, working_dir where its command starts",
    )
