"""Starting on a GPU in turn: a server that measures the free memory at its start must be alone in doing so.

vLLM takes a share of what it finds free, and fails, or takes too much, when another one is loading its model beside it.
A turn is a lock on `$LABCTL_HOME/locks/gpu-<uuid>.lock` for each GPU, held from before the start until the service is
healthy or has failed; the kernel frees it when its holder dies, however it dies. Nobody holds one GPU while waiting for
another: all are taken, or none.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.plan import Plan


@dataclass(slots=True)
class _Turn:
    """The locks, and who has begun on the strength of them: the last one who is done lets them go."""

    locks: ExitStack
    members: set[str] = field(default_factory=set)


class Turns:
    """The turns of one session's services. Any thread may ask.

    A service that starts while another of the same session, which it needs, is on its way begins in that one's turn: its
    lab says that it may (`service_started`), and the other may become healthy only once it is there.
    """

    def __init__(self, home: Path, plan: Plan) -> None:
        self._folder = home / "locks"
        self._uuids = sorted({gpu.uuid for gpu in plan.allocation.gpus}) if plan.allocation else []
        self._users = {service.name for service in plan.services if service.gpu}
        self._needs = {service.name: set(service.depends_on) for service in plan.services}
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    def take(self, service: str) -> str:
        """Have the service's turn, without waiting: empty when it may start now, else the GPU that somebody else is at."""
        if service not in self._users or not self._uuids:
            return ""
        with self._lock:
            begun = next((self._turns[name] for name in self._with_needs(service) if name in self._turns), None)
            turn = begun or self._locked()
            if isinstance(turn, str):
                return turn
            turn.members.add(service)
            self._turns[service] = turn
        return ""

    def give_back(self, service: str) -> None:
        """The service is healthy, or has failed; nothing happens when it has no turn."""
        with self._lock:
            turn = self._turns.pop(service, None)
            if turn is not None:
                turn.members.discard(service)
                if not turn.members:
                    turn.locks.close()

    def end(self) -> None:
        """Nothing more is started: give back what is left."""
        for service in list(self._turns):
            self.give_back(service)

    def _with_needs(self, service: str) -> Iterator[str]:
        """The service and all that it needs, directly or through others."""
        seen, waiting = set[str](), [service]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += self._needs.get(name, ())
                yield name

    def _locked(self) -> _Turn | str:
        with ExitStack() as stack:
            for uuid in self._uuids:
                descriptor = self._open(uuid)
                stack.callback(os.close, descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return uuid
            return _Turn(stack.pop_all())

    def _open(self, uuid: str) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._folder / f"gpu-{uuid.replace('/', '-')}.lock", flags, 0o600)


def words(uuid: str) -> str:
    """What somebody who waits is told."""
    return f"waits for its turn on GPU {uuid}"
