"""Compose's volumes and tmpfs as folders that a container may write; what they held or kept becomes a note."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown
from labctl.labs.compose.ports import as_list

_WRITES = {
    "grafana": ("/var/lib/grafana",),
    "mariadb": ("/var/lib/mysql", "/run/mysqld"),
    "mongo": ("/data/db", "/data/configdb"),
    "mysql": ("/var/lib/mysql", "/var/run/mysqld"),
    "nginx": ("/var/cache/nginx", "/var/run"),
    "pgvector": ("/var/lib/postgresql/data", "/var/run/postgresql"),
    "postgres": ("/var/lib/postgresql/data", "/var/run/postgresql"),
    "prometheus": ("/prometheus",),
    "redis": ("/data",),
}
"""Where well-known images write: containers of labs are read-only elsewhere."""
_ENGINE_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")


def writable(service: Mapping[str, Any], image: str, place: str, notes: Notes) -> list[str]:
    """The folders of the container that may be written and are empty at each start: `tmpfs`, volumes, known needs."""
    found: dict[str, None] = {}
    for index, entry in enumerate(as_list(service.get("tmpfs"), at(place, "tmpfs"), notes)):
        path, _, options = str(entry).partition(":")
        where = at(place, "tmpfs", index)
        if options:
            notes.add(where, f"the options {shown(options)} are not carried over", "its size counts as memory")
        found |= _folder(path, where, notes)
    for index, entry in enumerate(as_list(service.get("volumes"), at(place, "volumes"), notes)):
        kind, source, target = _long(entry) if isinstance(entry, dict) else _short(str(entry))
        where = at(place, "volumes", index)
        if kind == "bind":
            _note_bind(source, target, where, notes)
        elif kind in ("volume", "tmpfs"):
            if kind == "volume":
                name = f"the volume {shown(source)}" if source else "a volume without a name"
                todo = f"{target} is a tmpfs, empty at each start; what must last belongs into the workspace"
                notes.add(where, f"{name} is not carried over", todo)
            found |= _folder(target, where, notes)
        else:
            notes.add(where, f"a mount of type {shown(kind)} is not carried over", "put the files into the image")
    for path in _WRITES.get(image.rpartition("/")[2].partition("@")[0].partition(":")[0], ()):
        found.setdefault(path, None)
    return list(found)


def _long(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(entry.get("type") or "volume"), str(entry.get("source") or ""), str(entry.get("target") or "")


def _short(entry: str) -> tuple[str, str, str]:
    """(bind or volume, source, target) of `[SOURCE:]TARGET[:MODE]`."""
    source, colon, rest = entry.partition(":")
    if not colon:
        return "volume", "", entry
    target = rest.partition(":")[0]
    return ("bind" if source.startswith((".", "/", "~")) else "volume"), source, target


def _note_bind(source: str, target: str, place: str, notes: Notes) -> None:
    what = f"{shown(source)} on {target}"
    if source.endswith(_ENGINE_SOCKETS):
        notes.add(place, f"{what} is refused in a lab", "who has the engine's socket is root on the host")
    elif source.startswith(("/", "~")):
        notes.add(place, f"{what} is refused in a lab", "a session sees no folder of the host but its workspace")
    else:
        todo = "put it into the image or the lab's folder, and let the command name it as {{ lab_path }}/…"
        notes.add(place, f"{what} is not carried over", f"{todo} (learners' files: {{{{ workspace }}}}/…)")


def _folder(path: str, place: str, notes: Notes) -> dict[str, None]:
    """The path as a key, if a container of a lab can have it as a tmpfs."""
    folder = PurePosixPath(path)
    if not folder.is_absolute() or ".." in folder.parts or str(folder).strip("/") == "" or len(path) > 200:
        notes.add(place, f"{shown(path)} is no folder in a container", "it is not carried over")
        return {}
    if any(mark in path for mark in (":", "{{", "{%", "{#")):
        notes.add(place, f"{shown(path)} has characters that a lab does not accept", "it is not carried over")
        return {}
    return {str(folder): None}
