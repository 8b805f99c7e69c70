"""Several labs proved at the same time, each by a process of its own: what one lab does to it cannot harm another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from labctl.errors import LabctlError
from labctl.progress import Step
from labctl.sessions.context import Context
from labctl.sessions.prove import Round, prove


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A lab to prove: its id, the folder it is in, and on what. None leaves the choice open, as in `prove`."""

    lab: str
    folder: str
    runtime: str | None
    profile: str | None
    with_mutants: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What came of proving a lab. `error` is why there are no more rounds, empty when all were made."""

    rounds: tuple[Round, ...]
    error: str
    wall_s: float

    @property
    def ok(self) -> bool:
        return not self.error and all(each.ok for each in self.rounds)


Tell = Callable[[str, Step | Round | Proved], None]
"""Hears of each lab its steps and rounds, and last what came of it."""


def prove_all(make_context: Callable[[], Context], tasks: Sequence[Task], *, at_once: int, tell: Tell) -> list[Proved]:
    """Prove the labs in the order given, `at_once` of them at a time; what came of each, in the same order.

    `make_context` is called in each process, so it must be a function of a module. Whatever ends this, Ctrl-C too, first ends
    the sessions of all labs that are under way.
    """
    waiting = list(tasks)
    working: dict[Connection, _Work] = {}
    done: dict[Task, Proved] = {}
    with _ended(working):
        while waiting or working:
            while waiting and len(working) < at_once:
                work = _Work(make_context, waiting.pop(0))
                working[work.pipe] = work
            for pipe in wait(list(working)):
                assert isinstance(pipe, Connection)
                if not working[pipe].hear(tell):
                    work = working.pop(pipe)
                    done[work.task] = work.end()
                    tell(work.task.lab, done[work.task])
    return [done[task] for task in tasks]


class _Work:
    """A process that proves one lab, and what it has said so far."""

    def __init__(self, make_context: Callable[[], Context], task: Task) -> None:
        spawn = get_context("spawn")
        self.task = task
        self.pipe, its_end = spawn.Pipe(duplex=False)
        self.process: BaseProcess = spawn.Process(target=_prove, args=(make_context, task, its_end))
        self.process.start()
        its_end.close()
        self._began = time.monotonic()
        self._rounds: list[Round] = []
        self._error = "its process ended before it had said what came of it"

    def hear(self, tell: Tell) -> bool:
        """Take in one thing it says; False when it will say no more."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            return False
        if isinstance(said, str):
            self._error = said
            return True
        if isinstance(said, Round):
            self._rounds.append(said)
        tell(self.task.lab, said)
        return True

    def end(self) -> Proved:
        self.process.join()
        self.pipe.close()
        wall_s = time.monotonic() - self._began
        return Proved(rounds=tuple(self._rounds), error=self._error, wall_s=wall_s)


@contextmanager
def _ended(working: dict[Connection, _Work]) -> Iterator[None]:
    """Interrupt what still works when the block is left early, and wait until each has ended its session."""
    try:
        yield
    except BaseException:
        for work in working.values():
            if work.process.pid and work.process.is_alive():
                os.kill(work.process.pid, signal.SIGINT)
        for work in working.values():
            while work.hear(_nobody):  # a pipe that nobody reads would hold it up
                pass
            work.end()
        raise


def _prove(make_context: Callable[[], Context], task: Task, pipe: Connection) -> None:
    """The life of the other process. Last it says why it ended: an empty text when every round was made."""
    os.setpgid(0, 0)  # Ctrl-C reaches the one who started us, who hands it on: once, and not in the middle of an end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    line = _Line(pipe)
    try:
        ctx = make_context()
        prove(
            ctx,
            task.folder,
            line,
            runtime=task.runtime,
            profile=task.profile,
            on_round=line,
            with_mutants=task.with_mutants,
            wait=True,
        )
        error = ""
    except LabctlError as problem:
        error = problem.what
    except KeyboardInterrupt:
        error = "interrupted"
    except Exception as problem:  # noqa: BLE001  # one lab's trouble must not cost the others theirs
        error = f"{type(problem).__name__}: {problem}"
    line(error)


class _Line:
    """What is said to who started us. When that one is no more, it is as if they had pressed Ctrl-C, once."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._is_cut = False

    def __call__(self, said: Any) -> None:
        if self._is_cut:
            return
        try:
            self._pipe.send(said)
        except OSError as error:
            self._is_cut = True
            raise KeyboardInterrupt from error


def _nobody(_lab: str, _said: Step | Round | Proved) -> None:
    """Nobody listens any more."""
