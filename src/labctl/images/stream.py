"""The engine's event streams, read so that Ctrl-C is heard while nothing comes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LOOK_S = 0.2
_END = object()


def watched(events: Iterable[Any], cancelled: Callable[[], bool] | None = None) -> Iterator[Any]:
    """`events`; raises KeyboardInterrupt soon after `cancelled` says so.

    A build step may be silent for minutes, and a blocked read cannot be interrupted from another thread. So a thread reads.
    It is a daemon: when labctl ends, its connection closes and the engine gives the work up.
    """
    if cancelled is None:
        yield from events
        return
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(events, arrived), name="engine stream", daemon=True).start()
    while (event := _next(arrived, cancelled)) is not _END:
        if isinstance(event, Exception):
            raise event
        yield event


def _read(events: Iterable[Any], arrived: queue.SimpleQueue[Any]) -> None:
    try:
        for event in events:
            arrived.put(event)
        arrived.put(_END)
    except Exception as error:  # noqa: BLE001 - handed to the thread that waits
        arrived.put(error)


def _next(arrived: queue.SimpleQueue[Any], cancelled: Callable[[], bool]) -> Any:
    while not cancelled():
        with contextlib.suppress(queue.Empty):
            return arrived.get(timeout=_LOOK_S)
    raise KeyboardInterrupt
