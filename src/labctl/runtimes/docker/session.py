"""One session on the engine: its containers and networks as they are, and what can be done with them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from labctl.disk import read_json, write_atomically
from labctl.errors import EngineError
from labctl.images.engine import engine_errors
from labctl.runtimes import secrets
from labctl.runtimes.docker import containers, ingress, labels, networks
from labctl.runtimes.docker.containers import Networks, Seen
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.health import Probes
from labctl.runtimes.docker.parts import INGRESS_NAME, WORKSPACE, Part
from labctl.runtimes.folder import SessionFolder

_PORT_TAKEN = ("already allocated", "already in use")
_RANK = {"running": 0, "restarting": 1, "paused": 2, "created": 3, "exited": 4, "dead": 5, "removing": 6}


class Session:
    """Asks the engine and tells it; keeps nothing but what `refresh` saw. `handle` says what the session should have.

    Methods raise EngineError. `start` may be called by several threads, for different parts.
    """

    def __init__(self, engine: Engine, folder: SessionFolder, handle: Mapping[str, Any]) -> None:
        self.engine = engine
        self.client = engine.client
        self.folder = folder
        self.handle = handle
        self.marks = labels.of_session(folder.home, folder.session)
        self._by_part: dict[str, Seen] = {}
        self._parts: dict[str, Part] = {}
        self._networks: Networks | None = None
        self._labels: Mapping[str, str] = self.marks
        self._remembering = threading.Lock()

    @property
    def id(self) -> str:
        return self.folder.session

    def refresh(self) -> list[Seen]:
        """Every container of the session. Of several that stand for one part, `container` gives the liveliest."""
        every = [seen for seen in containers.find(self.client, self.marks) if seen.status != "removing"]
        by_life = sorted(every, key=lambda seen: _RANK.get(seen.status, 9), reverse=True)
        self._by_part = {seen.part: seen for seen in by_life}
        return every

    def container(self, part: str) -> Seen | None:
        """The part's container as it was last seen."""
        return self._by_part.get(part)

    def parts(self) -> list[str]:
        """The parts that had a container when they were last seen, checks and builds left out."""
        return [name for name, seen in self._by_part.items() if seen.role in ("service", "workspace", "ingress")]

    def look(self, part: str) -> Seen | None:
        """The part's container as it is now."""
        known = self._by_part.get(part)
        seen = containers.look(self.client, known.id) if known else None
        if seen:
            self._by_part[part] = seen
        else:
            self._by_part.pop(part, None)
        return seen

    def becomes(self, parts: Sequence[Part], marks: Mapping[str, str], networks: Networks) -> None:
        """From now on `start` makes these."""
        self._parts = {part.name: part for part in parts}
        self._labels = dict(marks)
        self._networks = networks

    def start(self, name: str) -> None:
        """Start the part's container, making it when there is none, or when what it was made with is gone."""
        seen = self._by_part.get(name)
        if seen is None:
            self._make(name)
            return
        try:
            if seen.status in ("running", "paused", "restarting"):
                containers.remove(self.client, seen.id, self._parts[name].grace_s)
                self._make(name)
            else:
                containers.start(self.client, seen.id)
        except EngineError as error:
            if not any(word in error.what.lower() for word in ("not found", "no such")):
                raise
            containers.remove(self.client, seen.id, None)
            self._make(name)
        self.look(name)

    def complaint(self, part: str) -> str:
        """What the part's health check has to say; empty when it is well, does not run, or has no check."""
        seen, known = self._by_part.get(part), self.handle["services"].get(part)
        if seen is None or seen.status != "running" or known is None or known["healthcheck"] is None:
            return ""
        return self._probes().complaint(part, seen.id, known["healthcheck"], known["ports"])

    def published(self) -> dict[tuple[str, str], int]:
        """(part, port name) → the port on this host's loopback interface; empty while the ingress does not run."""
        seen = self._by_part.get(INGRESS_NAME)
        if seen is None or seen.status != "running":
            return {}
        return {
            (route["service"], route["port"]): seen.ports[route["listen"]]
            for route in self.handle.get("routes", [])
            if route["listen"] in seen.ports
        }

    def asked(self) -> tuple[int, int] | None:
        """Connections and bytes that have come in since the ingress began, health checks left out; None when it cannot be asked.

        JupyterLab's bytes do not count: its page talks all the time, also when nobody sits before it. Behind a portal nor do
        its connections, for the portal's proxy makes a new one each time.
        """
        seen = self._by_part.get(INGRESS_NAME)
        if seen is None or seen.status != "running":
            return None
        try:
            said = containers.output(self.client, seen.id, ingress.ASK)
            ways = ingress.revived(self.handle.get("routes", []))
            counted = [way for way in ways if way.service != WORKSPACE or not self.handle.get("notebook")]
            return ingress.asked(said, counted, chatty=[WORKSPACE])
        except (EngineError, ValueError, KeyError):  # it ends just now, or is of an older labctl
            return None

    def may_still_come(self, seen: Seen, timeout_s: float) -> bool:
        """Whether it runs, has never been well, and has time left."""
        return seen.status == "running" and not self.was_healthy(seen) and self.left_s(seen, timeout_s) > 0

    def left_s(self, seen: Seen, timeout_s: float) -> float:
        return timeout_s - self.age_s(seen)

    def age_s(self, seen: Seen) -> float:
        """Seconds since it was started; 0 for one that never was."""
        return (datetime.now(UTC) - seen.started_at).total_seconds() if seen.started_at else 0.0

    def was_healthy(self, seen: Seen) -> bool:
        return read_json(self.folder.healthy).get(seen.part) == _run_of(seen)

    def remember_healthy(self, seen: Seen) -> None:
        """For the next `up`: something that was well and is not any more gets no more time to become so."""
        with self._remembering:
            known = read_json(self.folder.healthy)
            if known.get(seen.part) != _run_of(seen):
                write_atomically(self.folder.healthy, json.dumps({**known, seen.part: _run_of(seen)}))

    def last_lines(self, part: str, count: int) -> list[str]:
        """The last lines of its log that are not blank, each cut to 300 characters."""
        text = self.log(part, count * 4).decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return [line[:300] for line in lines[-count:]]

    def log(self, part: str, lines: int) -> bytes:
        """The last lines of its log, secrets hidden; nothing when there is no container."""
        seen = self._by_part.get(part)
        if seen is None:
            return b""
        with engine_errors():
            text: bytes = self.client.api.logs(seen.id, tail=lines)
        return secrets.hide(text.decode(errors="replace"), secrets.read(self.folder.root)).encode()

    def _make(self, name: str) -> None:
        """Make and start it. What it publishes stays on the same ports of the host, unless somebody else has them now."""
        bindings = self._bindings() if self._parts[name].published else {}
        try:
            self._make_on(name, bindings)
        except EngineError as error:
            is_taken = bool(bindings) and any(word in error.what for word in _PORT_TAKEN)
            is_gone = bool(self._parts[name].published) and "not found" in error.what
            if not is_taken and not is_gone:
                raise
            if name in self._by_part:
                containers.remove(self.client, self._by_part[name].id, None)
            if is_gone and self._networks:  # the last session of this home ended just now, and took it along
                front = networks.front(self.client, self.folder.home)
                self._networks = replace(self._networks, front=front)
            self._make_on(name, {} if is_taken else bindings)
        if self._parts[name].published:
            ports = {f"{service}/{port}": number for (service, port), number in self.published().items()}
            write_atomically(self.folder.published, json.dumps(ports))

    def _bindings(self) -> dict[int, int]:
        before = read_json(self.folder.published)
        routes = self.handle.get("routes", [])
        names = {route["listen"]: f"{route['service']}/{route['port']}" for route in routes}
        return {listen: int(before[name]) for listen, name in names.items() if name in before}

    def _make_on(self, name: str, bindings: Mapping[int, int]) -> None:
        part = self._parts[name]
        networks = self._networks
        if networks is not None and not part.published:
            networks = Networks(session=networks.session, front=None)
        known = secrets.read(self.folder.root)
        id = containers.create(
            self.client,
            part,
            marks=self._labels,
            networks=networks,
            secrets=known,
            info=self.engine.info,
            bindings=bindings,
        )
        try:
            containers.start(self.client, id)
        finally:
            seen = containers.look(self.client, id)
            if seen:
                self._by_part[name] = seen

    def _probes(self) -> Probes:
        seen = self._by_part.get(INGRESS_NAME)
        routes = ingress.revived(self.handle.get("routes", []))
        ways = len(routes) + sum(route.door is not None for route in routes)
        if seen is not None and (seen.status != "running" or len(seen.ports) < ways):
            seen = self.look(INGRESS_NAME)
        running = seen if seen and seen.status == "running" else None
        found = running.ports if running else {}
        doors = {(r.service, r.port): found[way] for r in routes if (way := r.door or r.listen) in found}
        return Probes(self.client, running.id if running else None, doors)


def _run_of(seen: Seen) -> str:
    """One run of one container: it is another after a restart."""
    return f"{seen.id[:12]} {seen.started_at}"
