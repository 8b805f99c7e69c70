"""Work in threads beside an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from labctl.hub.threads import Threads


def test_what_comes_of_it_is_returned_or_raised_and_the_loop_goes_on_meanwhile() -> None:
    async def go() -> tuple[int, str]:
        threads, done = Threads(2, "t"), threading.Event()
        working = asyncio.create_task(threads.run(lambda: done.wait(10) and 42))
        await asyncio.sleep(0)
        done.set()  # by the loop, which is free
        with pytest.raises(ValueError) as caught:
            await threads.run(lambda: int("no number"))
        return int(await working), str(caught.value)

    found, said = asyncio.run(go())
    assert found == 42
    assert "no number" in said


def test_no_more_than_so_many_at_a_time() -> None:
    at_once, most = 0, 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        both.wait(10)
        with lock:
            at_once -= 1

    async def go() -> None:
        threads = Threads(2, "t")
        await asyncio.gather(*(threads.run(work) for _ in range(6)))

    asyncio.run(go())
    assert most == 2


def test_a_long_piece_of_work_does_not_keep_the_process_from_ending() -> None:
    code = """
import asyncio, time
from labctl.hub.threads import Threads
async def go():
    try:
        await asyncio.wait_for(Threads(1, "t").run(lambda: time.sleep(600)), 0.1)
    except TimeoutError:
        print("ended")
asyncio.run(go())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "ended\n"
