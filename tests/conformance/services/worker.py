"""Something without a port: `python3 worker.py STEP…`, each step done in turn. Standard library only.

`say:TEXT` prints a line, `note:TEXT` adds one to order.txt, `touch:FILE` makes a file, `wait:FILE` waits until it is there,
`hold:FILE` locks it until this process ends, `child:FILE` has a child in a session of its own do so, `sleep` stays,
`exit:N` ends with that code.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

_HELD: list[IO[str]] = []


def say(text: str) -> None:
    print(text, flush=True)


def note(text: str) -> None:
    with Path("order.txt").open("a") as stream:
        stream.write(text + "\n")


def touch(file: str) -> None:
    Path(file).touch()


def wait(file: str) -> None:
    while not Path(file).exists():
        time.sleep(0.02)


def hold(file: str) -> None:
    stream = Path(file).open("w")  # noqa: SIM115 - held until the end
    fcntl.flock(stream, fcntl.LOCK_EX)
    _HELD.append(stream)
    touch(f"{file}.held")


def child(file: str) -> None:
    subprocess.Popen([sys.executable, __file__, f"hold:{file}", "sleep"], start_new_session=True)
    wait(f"{file}.held")


def sleep(_: str) -> None:
    time.sleep(600)


def exit(code: str) -> None:
    sys.exit(int(code))


STEPS = {step.__name__: step for step in (say, note, touch, wait, hold, child, sleep, exit)}

if __name__ == "__main__":
    for word in sys.argv[1:]:
        kind, _, value = word.partition(":")
        STEPS[kind](value)
