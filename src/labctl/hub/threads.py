"""Work that takes seconds, away from the Hub's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """At most so many pieces of work at a time, each in a thread that keeps the process from ending no more than a kill would.

    An executor's threads are waited for when Python ends: Ctrl-C would take as long as the longest start.
    """

    def __init__(self, most: int, name: str) -> None:
        self._turn = asyncio.Semaphore(most)
        self._name = name

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Whoever stops waiting does not stop it."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[T] = loop.create_future()

            def do() -> None:
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - whoever waits has it
                    _tell(loop, done, partial(done.set_exception, error))
                else:
                    _tell(loop, done, partial(done.set_result, result))

            threading.Thread(target=do, name=self._name, daemon=True).start()
            return await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[T], settle: Callable[[], object]) -> None:
    def unless_gone() -> None:
        if not done.done():
            settle()

    with suppress(RuntimeError):  # the loop has ended, and whoever waited with it
        loop.call_soon_threadsafe(unless_gone)
