"""Who is served next: everybody in turn, however much one of them asks for."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger("labctl.board")


class Line(Generic[T]):
    """Work of several owners, done by `workers` threads: of each owner one piece in turn, oldest first.

    The threads die with the process: what they had in hand must be found again by whoever starts the next one.
    """

    def __init__(self, name: str, workers: int, work: Callable[[T], object]) -> None:
        self._name, self._workers, self._work = name, workers, work
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._ready = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def put(self, owner: Hashable, item: T) -> None:
        """Stand in line. The first call starts the threads."""
        with self._ready:
            self._waiting.setdefault(owner, deque()).append(item)
            if len(self._threads) < self._workers and not self._closed:
                self._start()
            self._ready.notify()

    def __len__(self) -> int:
        with self._ready:
            return sum(map(len, self._waiting.values()))

    def stop(self) -> None:
        """Begin nothing more."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def close(self, timeout_s: float) -> None:
        """Begin nothing more, and wait so long for what is being done."""
        self.stop()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._work(item)
            except Exception:
                log.exception("%s: a piece of work failed", self._name)

    def _next(self) -> T | None:
        """The oldest piece of whoever has waited longest for a turn; None when it is closed."""
        with self._ready:
            while not self._waiting and not self._closed:
                self._ready.wait()
            if self._closed:
                return None
            owner, items = self._waiting.popitem(last=False)
            item = items.popleft()
            if items:
                self._waiting[owner] = items  # at the end
            return item
