"""What every answer carries and every request is bounded by: security headers, sizes, rates."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Adds the headers to every answer, forbids caches to keep pages, and refuses a body that is too large."""

    def __init__(self, app: ASGIApp, *, cached: str) -> None:
        self._app, self._cached = app, cached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        keep = scope["path"].startswith(self._cached)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = {**HEADERS, "cache-control": "public, max-age=3600" if keep else "no-store"}
                message["headers"] += [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in own]
            await send(message)

        if _length(scope) > MAX_BODY_BYTES:
            await _refuse(guarded)
            return
        await self._app(scope, _bounded(receive), guarded)


class Pace:
    """How often somebody may ask: `most` at once, and as many again in every `per_s` seconds."""

    def __init__(self, most: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._clock = float(most), most / per_s, clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, who: str) -> float:
        """0 when `who` may ask now, which then counts; else the seconds until they may."""
        now = self._clock()
        left, at = self._left.get(who, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        if len(self._left) > 10_000:
            self._forget(now)
        self._left[who] = (left - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Whoever has all of their share again."""
        full_s = self._most / self._rate
        self._left = {who: seen for who, seen in self._left.items() if now - seen[1] < full_s}


def form_token(secret: bytes, session: str) -> str:
    """What a form of this session must carry, which no other site can know."""
    return hmac.new(secret, b"form:" + session.encode(), hashlib.sha256).hexdigest()


def inside(prefix: str, back: str) -> str:
    """`back` where it is a path below `prefix`, else `prefix`: nobody is sent elsewhere by a link.

    >>> inside("/b/", "/b/class?lab=x"), inside("/b/", "//evil.example"), inside("/", "/\\\\evil.example")
    ('/b/class?lab=x', '/b/', '/')
    """
    safe = back.startswith(prefix) and not back.startswith("//") and "\\" not in back and back.isprintable()
    return back if safe else prefix


def _length(scope: Scope) -> int:
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(said) if said.isdigit() else 0


def _bounded(receive: Receive) -> Receive:
    """A body that does not say its length is cut off where it is too large: nothing that is meant is so long."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message

    return bounded


async def _refuse(send: Send) -> None:
    text = b'{"error": {"code": "too_large", "message": "the body is larger than 64 KiB", "hint": "send less"}}'
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": text})
