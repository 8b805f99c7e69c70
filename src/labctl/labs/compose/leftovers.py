"""What of a Compose file a lab has no place for, or refuses, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown

CARRIED = frozenset(
    [
        "image",
        "command",
        "entrypoint",
        "environment",
        "ports",
        "expose",
        "healthcheck",
        "depends_on",
        "restart",
        "stop_grace_period",
        "working_dir",
        "mem_limit",
        "cpus",
        "deploy",
        "gpus",
        "runtime",
        "tmpfs",
        "volumes",
        "profiles",
        "container_name",
        "hostname",
        "links",
        "networks",
        "build",
    ]
)
"""Keys of a service that have a place of their own in the conversion."""
GIVEN = frozenset(
    [
        "init",
        "cap_drop",
        "stdin_open",
        "tty",
        "attach",
        "pull_policy",
        "labels",
        "annotations",
        "logging",
        "mem_reservation",
    ]
)
"""What labctl sees to itself, or what makes no difference to a lab: not worth a note."""
ROOT = "would give a learner the host"
REFUSED = {
    "privileged": ROOT,
    "cap_add": ROOT,
    "devices": "a device of the host is shared with everything else on it; GPUs are asked for in profiles.gpu",
    "pid": "it would show a learner other people's processes",
    "ipc": "it would share the host's memory segments",
    "userns_mode": ROOT,
    "uts": ROOT,
    "cgroup": ROOT,
    "cgroup_parent": ROOT,
    "device_cgroup_rules": ROOT,
    "security_opt": "labctl sets the containers' confinement itself",
    "volumes_from": "a container's files are its own",
    "use_api_socket": "who has the engine's socket is root on the host",
    "credential_spec": ROOT,
    "group_add": ROOT,
    "sysctls": "it would change the kernel's settings",
}
"""What a container of a learner may not have, and why."""
ADVICE = {
    "configs": "put the files into the image, or into the lab's folder and name them as {{ lab_path }}/FILE",
    "secrets": "let labctl make one for each session: environment with {{ secret('NAME') }}",
    "env_file": "it was not read; write what is needed into environment",
    "extends": "write the settings of the other service here",
    "user": "labctl runs containers as the learner; the image must bear that",
    "read_only": "containers of labs are read-only already; tmpfs names what may be written",
    "shm_size": "add /dev/shm to tmpfs if 64 MiB do not do",
    "ulimits": "the engine's own limits hold",
    "extra_hosts": "a session reaches its own services only; with `egress: true` also the internet",
    "dns": "a session reaches its own services only; with `egress: true` also the internet",
    "network_mode": "services of a session share one network and reach each other by name",
    "scale": "a lab runs each service once",
    "platform": "build or pull the image for the host's platform",
    "develop": "learners' work lies in the workspace; services see it at {{ workspace }}",
    "stop_signal": "services get SIGTERM",
    "post_start": "do it in the command, or as a service of its own",
    "pre_stop": "do it in the command",
    "models": "name the model in the profile, and use {{ model_path }}",
    "provider": "run what it stands for as a service",
}
"""What to do about a key that a lab does not have."""
TOP = {
    "networks": "one private network a session connects all its services",
    "secrets": ADVICE["secrets"],
    "configs": ADVICE["configs"],
    "include": "that file was not read; convert it, or write its services here",
    "models": ADVICE["models"],
}
"""Keys of the file itself; those not named here are known to need no note."""


def note_file(data: Mapping[str, Any], notes: Notes) -> None:
    """Notes on the file's own keys. `version` and `name` are of no use here; volumes are noted where they are mounted."""
    for key, value in data.items():
        if key.startswith("x-") or key in ("services", "version", "name", "volumes") or _is_nothing(value):
            continue
        if key in TOP:
            if key != "networks" or _is_more_than_default(value):
                notes.add(key, f"{_named(value)} not carried over", TOP[key])
        else:
            notes.add(key, "is no key of a Compose file that labctl knows", "it is not carried over")


def note_service(service: Mapping[str, Any], place: str, notes: Notes) -> None:
    """Notes on the keys of a service that nothing else looks at."""
    for key, value in service.items():
        if key in CARRIED or key in GIVEN or key.startswith("x-") or _is_nothing(value):
            continue
        if key == "network_mode":
            _note_network_mode(str(value), at(place, key), notes)
        elif key in REFUSED and not _is_harmless(key, value):
            notes.add(at(place, key), f"{_brief(value)} is refused in a lab", REFUSED[key])
        elif key in ADVICE:
            notes.add(at(place, key), f"{_brief(value)} is not carried over", ADVICE[key])
        elif key not in REFUSED:
            notes.add(at(place, key), "is not carried over", "a lab has nothing like it")


def _note_network_mode(mode: str, place: str, notes: Notes) -> None:
    if mode == "host" or mode.startswith("container:"):
        notes.add(place, f"{shown(mode)} is refused in a lab", "it would open the host's network to a learner")
    elif mode not in ("bridge", "default"):
        notes.add(place, f"{shown(mode)} is not carried over", ADVICE["network_mode"])


def _is_harmless(key: str, value: Any) -> bool:
    if key in ("pid", "ipc", "cgroup"):
        return str(value) in ("private", "shareable")
    return key == "security_opt" and isinstance(value, list) and all("no-new-privileges" in str(one) for one in value)


def _is_nothing(value: Any) -> bool:
    return value in (None, False, "", "false") or value == [] or value == {}


def _is_more_than_default(networks: Any) -> bool:
    return isinstance(networks, dict) and any(networks.values())


def _brief(value: Any) -> str:
    return "this" if isinstance(value, dict | list) or value in (True, "true") else shown(value)


def _named(value: Any) -> str:
    names = list(value) if isinstance(value, dict) else []
    return (
        f"{', '.join(map(shown, names[:5]))}{'…' if len(names) > 5 else ''} {'is' if len(names) == 1 else 'are'}"
        if names
        else "is"
    )
