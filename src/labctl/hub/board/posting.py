"""Posting what happens to webhooks: kept in the store until it has arrived, signed, tried again later and later.

Signed as Standard Webhooks (standardwebhooks.com) has it, so that receivers find a library for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import httpx

from labctl import __version__
from labctl.errors import LabctlError
from labctl.hub.board.events import deliveries
from labctl.hub.board.hooks import Hook
from labctl.hub.board.room import Room
from labctl.store.changes import Changes
from labctl.store.records import Delivery, Session

LOOKS_EVERY_S = 1.0
ALL_EVERY_S = 15.0
TIMEOUT_S = 10.0
ENDS_IN_S = 2.0
TAKEN_FOR = timedelta(minutes=1)
"""So long after somebody has taken a delivery to try it, they have died."""
AGAIN_AFTER_S = (5, 30, 120, 600, 1800, 7200, 21600, 43200, 86400)
"""After these waits it is tried again, and then given up: two days in all."""
GONE = 410
MAX_AT_ONCE = 8
log = logging.getLogger("labctl.board")


class Post:
    """Tells the hooks of a room what happens in it. What was not delivered when it ended, the next one delivers."""

    def __init__(self, room: Room, hooks: Sequence[Hook]) -> None:
        self._room, self._hooks = room, {hook.url: hook for hook in hooks}
        self._sessions: dict[str, Session] = {}
        self._since = 0
        self._known: set[tuple[str, str]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="webhooks", daemon=True)
        self._http = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def start(self) -> None:
        """Begin, where there is anything to tell anybody."""
        if self._hooks:
            self._thread.start()

    def close(self) -> None:
        """Begin nothing more. What does not arrive in a moment, the next one delivers, perhaps a second time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(ENDS_IN_S)
        self._http.close()

    def look(self) -> None:
        """Write down what has happened since the last look, for each hook that wants to know. What was before there was
        the hook, it is not told."""
        store, name = self._room.ctx.store, self._room.cohort.name
        self._keep(store.changes(name, self._since))
        people = {person.id: person for person in self._room.people()}
        for url, hook in self._hooks.items():
            since = store.outbox.seen(name, url)
            if since is None:
                store.outbox.add(name, url, self._since, ())
                continue
            changes = store.changes(name, since)
            found = deliveries(hook, changes, self._sessions, people, self._room.ctx.now())
            new = [each for each in found if (url, each.subject) not in self._known]
            if new or changes.version > since:
                store.outbox.add(name, url, changes.version, new)
                self._known.update((url, each.subject) for each in new)

    def _keep(self, changes: Changes) -> None:
        self._since = changes.version
        self._sessions.update({session.id: session for session in changes.sessions})

    def deliver(self) -> None:
        """Try everything that is due, the hooks side by side; of each in order, until one does not arrive."""
        due: dict[str, list[Delivery]] = {}
        for each in self._room.ctx.store.outbox.due(self._room.cohort.name, self._room.ctx.now(), limit=200):
            if each.hook in self._hooks:
                due.setdefault(each.hook, []).append(each)
        if due:
            with ThreadPoolExecutor(min(MAX_AT_ONCE, len(due))) as pool:
                list(pool.map(self._try_all, due.values()))

    def _serve(self) -> None:
        known, looked_at = -1, None
        while not self._ended.wait(LOOKS_EVERY_S):
            try:
                version, now = self._room.ctx.store.version(), self._room.ctx.now()
                if version != known or looked_at is None or now - looked_at >= timedelta(seconds=ALL_EVERY_S):
                    self.look()
                    known, looked_at = version, now
                self.deliver()
            except LabctlError as error:
                log.warning("webhooks: %s", error.what)
            except Exception:
                log.exception("webhooks")

    def _try_all(self, due: Sequence[Delivery]) -> None:
        outbox, now = self._room.ctx.store.outbox, self._room.ctx.now
        for each in due:
            if self._ended.is_set() or not outbox.take(each, now() + TAKEN_FOR):
                return
            tried = self._try(each)
            outbox.settle(tried)
            if tried.delivered_at is None:
                return

    def _try(self, delivery: Delivery) -> Delivery:
        """The delivery with what came of this try."""
        hook, now = self._hooks[delivery.hook], self._room.ctx.now()
        body = delivery.body.encode()
        try:
            with self._http.stream("POST", hook.url, content=body, headers=headers(hook, delivery, now)) as answer:
                status, problem = answer.status_code, ""
        except httpx.HTTPError as error:
            status, problem = 0, f"{type(error).__name__}: {error}"[:300]
        return settled(delivery, status, problem, now)


def headers(hook: Hook, delivery: Delivery, now: datetime) -> dict[str, str]:
    """What a receiver needs to know that it is from us, is not old, and whether it has come before."""
    id, timestamp = f"{delivery.cohort}-{delivery.id}", str(int(now.timestamp()))
    return {
        "content-type": "application/json",
        "user-agent": f"labctl/{__version__}",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(hook.secret, id, timestamp, delivery.body.encode()),
    }


def signature(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of id, timestamp and body, with dots between.

    >>> signature(b"0123456789abcdef", "autumn-1", "1788264000", b"{}")
    'v1,7kFhJ8yNaxRa+TtVOqVNNn/82MvU0LKKKmsslSuUir4='
    """
    signed = hmac.new(secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def settled(delivery: Delivery, status: int, problem: str, now: datetime) -> Delivery:
    """What becomes of a delivery after a try that was answered with `status`, 0 for not at all. Only 2xx is an arrival: a
    redirect would take what is signed for one address to another. Pure."""
    tried = replace(delivery, attempts=delivery.attempts + 1, status=status, problem=problem)
    if 200 <= status < 300:
        return replace(tried, delivered_at=now, next_at=None, problem="")
    why = problem or f"answered {status}"
    if 300 <= status < 400:
        why = f"answered {status}; redirects are not followed"
    if status == GONE or tried.attempts > len(AGAIN_AFTER_S):
        return replace(tried, next_at=None, problem=f"{why}; given up")
    return replace(tried, next_at=now + timedelta(seconds=AGAIN_AFTER_S[tried.attempts - 1]), problem=why)
