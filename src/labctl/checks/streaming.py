"""The time to the first piece of a streamed chat completion.

The standard library's client, read with what is left of the time before each read: a stream that drips is still bounded, and
the client's own cost stays below a millisecond, where a first token takes a few.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from labctl.checks.base import Unmet
from labctl.checks.request import require_status
from labctl.target import CannotLook, Request, Response, Target, Unreachable

MAX_STREAM_BYTES = 4 * 1024 * 1024
_NO_TIME_S = 0.001


def first_token_s(target: Target, request: Request) -> float:
    """Seconds from the request, its connection included, to the first piece of the reply's text.

    The stream is read to its end, so that the server is done with it. Unmet when there is none; who does not answer at all
    is judged as in `target.request`.
    """
    deadline = time.monotonic() + request.timeout_s
    asked = f"{request.method} {request.path} with stream: true"
    started = time.perf_counter()
    try:
        first = None
        for text in _pieces(target.url(request.service, request.port), request, deadline, asked):
            if text and first is None:
                first = time.perf_counter() - started
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = f"nothing more within {request.timeout_s:g}s" if isinstance(error, TimeoutError) else str(error)
        raise _at_fault(target, request, f"{asked} broke off: {why or type(error).__name__}") from error
    if first is None:
        raise Unmet(f"{asked} streamed no text: no data: line holds choices[0].delta.content")
    return first


def _pieces(base: str, request: Request, deadline: float, asked: str) -> Iterator[str]:
    """The text of each event of the stream, "" where it has none."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_left(deadline))
    try:
        connection.request(request.method, place.path + request.path, request.body, dict(request.headers))
        socket = connection.sock  # the connection forgets it when the answer has no length
        answer = connection.getresponse()
        if answer.status != 200:
            body = answer.read(4096)
            require_status(Response(status=answer.status, headers={}, body=body, duration_s=0.0), 200, asked)
        rest, size = b"", 0
        while True:
            socket.settimeout(_left(deadline))
            part = answer.read1(65536)
            size += len(part)
            if size > MAX_STREAM_BYTES:
                raise Unmet(f"{asked} streamed more than the {MAX_STREAM_BYTES} bytes that are looked at")
            *lines, rest = (rest + part).split(b"\n")
            yield from map(_text, lines if part else [rest])
            if not part:
                return
    finally:
        connection.close()


def _text(line: bytes) -> str:
    """What an event adds to the reply. Comments, the last event [DONE], and what is of another form add nothing."""
    if not line.startswith(b"data:"):
        return ""
    try:
        text = json.loads(line[len(b"data:") :])["choices"][0]["delta"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return text if isinstance(text, str) else ""


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _at_fault(target: Target, request: Request, why: str) -> Exception:
    """Whose fault a broken stream is, the target knows: it says so of a request that has no time to be answered."""
    try:
        target.request(replace(request, timeout_s=_NO_TIME_S))
    except Unreachable:
        return Unreachable(why)
    except CannotLook:
        return CannotLook(why)
    return Unmet(why)
