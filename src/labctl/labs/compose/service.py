"""One service of a Compose file as a service of a lab file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.labs.compose.commands import command
from labctl.labs.compose.environment import environment
from labctl.labs.compose.health import Health, health
from labctl.labs.compose.leftovers import note_service
from labctl.labs.compose.notes import Notes, at, shown
from labctl.labs.compose.ports import add, as_list, ports
from labctl.labs.compose.resources import Gpus, cpus, gpus, memory_mib
from labctl.labs.compose.texts import Texts
from labctl.labs.compose.volumes import writable
from labctl.units import parse_duration

_PATH = re.compile(r"/[A-Za-z0-9._/@+-]{1,190}")
_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
_RESTARTS = {"always": "always", "unless-stopped": "always", "on-failure": "on-failure", "any": "always"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A service without its texts, which need to know every other service's names and ports first."""

    id: str
    place: str
    entry: Mapping[str, Any]
    ports: Mapping[int, str]
    health: Health | None
    image: str
    memory_mib: int | None
    cpus: float | None
    gpus: Gpus | None


def draw(name: str, id: str, entry: Mapping[str, Any], notes: Notes) -> Drawn:
    """What can be said of a service by itself."""
    place = at("services", name)
    image = _image(id, entry, place, notes)
    probe = health(entry.get("healthcheck"), at(place, "healthcheck"), notes)
    numbers = ports(entry, place, notes)
    if probe is not None and probe.port is not None and probe.port not in numbers:
        add(numbers, probe.port)
        notes.add(at(place, "healthcheck"), f"port {probe.port} is only named here", "it was added to ports")
    return Drawn(
        id=id,
        place=place,
        entry=entry,
        ports=numbers,
        health=probe,
        image=image,
        memory_mib=memory_mib(entry, place, notes),
        cpus=cpus(entry, place, notes),
        gpus=gpus(entry, place, notes),
    )


def finish(drawn: Drawn, ids: Mapping[str, str], texts: Texts, notes: Notes) -> dict[str, Any]:
    """The service as a lab file has it; keys in the order in which people write them."""
    entry, place = drawn.entry, drawn.place
    words = command(entry, place, notes)
    note_service(entry, place, notes)
    _note_profiles(entry, place, notes)
    _note_deploy(entry, place, notes)
    fields: dict[str, Any] = {
        "image": drawn.image,
        "command": _converted(words, at(place, "command"), texts),
        "environment": environment(entry.get("environment"), at(place, "environment"), texts, notes),
        "ports": {port: number for number, port in drawn.ports.items()},
        "healthcheck": _healthcheck(drawn, texts),
        "depends_on": _depends_on(entry, drawn.id, place, ids, notes),
        "restart": _restart(entry, place, bool(drawn.ports or drawn.health), notes),
        "stop_grace_period": _grace(entry, place, notes),
        "working_dir": _folder(entry, place, notes),
        "mem_limit": f"{drawn.memory_mib}MiB" if drawn.memory_mib else None,
        "tmpfs": writable(entry, drawn.image, place, notes),
    }
    return {key: value for key, value in fields.items() if value not in (None, "") and value != [] and value != {}}


def _image(id: str, entry: Mapping[str, Any], place: str, notes: Notes) -> str:
    image = str(entry.get("image") or "")
    if entry.get("build"):
        notes.add(at(place, "build"), "a lab builds no images of others", f"`docker build -t {image or id} …` it first")
    if not image:
        if not entry.get("build"):
            notes.add(place, "has neither image nor build", f"the lab file says {id}:latest; name the image")
        return f"{id}:latest"
    if not _IMAGE.fullmatch(image) or image.endswith((":", "/")) or len(image) > 300:
        notes.add(at(place, "image"), f"{shown(image)} is no image", f"the lab file says {id}:latest; name the image")
        return f"{id}:latest"
    last = image.rpartition("/")[2]
    if "@" not in last and last.partition(":")[2] in ("", "latest"):
        notes.add(at(place, "image"), f"{shown(image)} is another image every week", "pin it: a tag, or @sha256:…")
    return f"docker.io/{image}" if image.startswith("docker/") else image  # docker/NAME is an image of labctl's own


def _converted(words: list[str], place: str, texts: Texts) -> list[str]:
    """An empty word is an expression: a lab file's words are not empty, what they render to may be."""
    before = ["", *words]
    return [texts.convert(word, place, before=f"{before[n]} ") or "{{ '' }}" for n, word in enumerate(words)]


def _healthcheck(drawn: Drawn, texts: Texts) -> dict[str, Any] | None:
    probe, place = drawn.health, at(drawn.place, "healthcheck", "test")
    if probe is None:
        return None
    timeout = {"timeout": f"{round(probe.timeout_s)}s"}
    if probe.port is None:
        return {"command": _converted(list(probe.command), place, texts)} | timeout
    port = {"port": drawn.ports[probe.port]}
    return ({"http": texts.convert(probe.path, place)} if probe.path else {"tcp": True}) | port | timeout


def _depends_on(
    entry: Mapping[str, Any], id: str, place: str, ids: Mapping[str, str], notes: Notes
) -> dict[str, dict[str, str]]:
    value, found = entry.get("depends_on"), {}
    named = value if isinstance(value, dict) else dict.fromkeys(map(str, as_list(value, place, notes)))
    links = [str(link).partition(":")[0] for link in as_list(entry.get("links"), at(place, "links"), notes)]
    for name, details in {**dict.fromkeys(links), **named}.items():
        where = at(place, "depends_on" if name in named else "links", name)
        if name not in ids or ids[name] == id:
            notes.add(where, "is no other service of this file", "it is not carried over")
            continue
        condition = details.get("condition") if isinstance(details, dict) else None
        if condition not in (None, *_CONDITIONS):
            notes.add(where, f"the condition {shown(condition)} is unknown", "service_started is written instead")
        found[ids[name]] = {"condition": condition if condition in _CONDITIONS else _CONDITIONS[0]}
        for key in ("required", "restart") if isinstance(details, dict) else ():
            if details.get(key) not in (None, key == "required"):
                notes.add(at(where, key), "is not carried over", "what is named in depends_on must be there")
    return found


def _restart(entry: Mapping[str, Any], place: str, serves: bool, notes: Notes) -> str | None:
    value = entry.get("restart")
    deploy = entry.get("deploy")
    policy = deploy.get("restart_policy") if isinstance(deploy, dict) else None
    if value in (None, "") and isinstance(policy, dict):
        value, place = policy.get("condition", "any"), at(place, "deploy", "restart_policy")
    elif value not in (None, ""):
        place = at(place, "restart")
    if value in (None, ""):
        return None
    if value in ("no", "none", False):
        if serves:
            notes.add(place, "'no' is for what ends by itself", "a lab restarts this service when it fails")
        return None if serves else "no"
    word, _, times = str(value).partition(":")
    if word not in _RESTARTS or times:
        notes.add(place, f"{shown(value)} is not carried over as it is", "a lab restarts it when it fails, with pauses")
    return _RESTARTS.get(word, "on-failure")


def _grace(entry: Mapping[str, Any], place: str, notes: Notes) -> str | None:
    value = entry.get("stop_grace_period")
    if value in (None, ""):
        return None
    try:
        return f"{parse_duration(f'{value}s' if str(value).isdecimal() else value):g}s"
    except ValueError as error:
        notes.add(at(place, "stop_grace_period"), str(error), "it is not carried over")
        return None


def _folder(entry: Mapping[str, Any], place: str, notes: Notes) -> str | None:
    value = entry.get("working_dir")
    if value in (None, ""):
        return None
    if not _PATH.fullmatch(str(value)) or ".." in str(value).split("/"):
        notes.add(at(place, "working_dir"), f"{shown(value)} is no absolute folder", "it is not carried over")
        return None
    return str(value)


def _note_profiles(entry: Mapping[str, Any], place: str, notes: Notes) -> None:
    profiles = entry.get("profiles")
    if profiles:
        names = ", ".join(map(str, profiles)) if isinstance(profiles, list) else str(profiles)
        notes.add(
            at(place, "profiles"),
            f"{shown(names)}: Compose starts this only when asked, a lab always",
            "remove the service, or name the lab's profiles (cpu, gpu) it is for",
        )


def _note_deploy(entry: Mapping[str, Any], place: str, notes: Notes) -> None:
    deploy = entry.get("deploy")
    for key, value in deploy.items() if isinstance(deploy, dict) else ():
        if key not in ("resources", "restart_policy", "labels") and value not in (None, 1, "1"):
            notes.add(at(place, "deploy", key), "is not carried over", "a lab runs each service once, on one host")
