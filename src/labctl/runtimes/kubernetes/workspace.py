"""A workspace that is a claim of the cluster's storage: what is done with it is done in a pod that mounts it."""

from __future__ import annotations

import errno
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from labctl import packing, tree, unpacking
from labctl.errors import EngineError, NotFoundError, PreflightError
from labctl.runtimes.kubernetes import keeper

VOLUME = "/volume"
"""Where that pod has the claim: the learner's files in `files`, dated copies in `copies`."""
_IN_MEMORY = 8 * 2**20
_MAX_SAID = 1_000_000
_BEGIN = """\
import json, sys, types
asked = json.loads(sys.argv[1])
for name, source in json.loads(sys.stdin.buffer.read(asked["program"])):
    made = sys.modules[name] = types.ModuleType(name)
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, made)
    exec(compile(source, name, "exec"), made.__dict__)
made.main(asked)
"""
"""What the pod's python3 is told; everything else comes over standard input."""


class Execute(Protocol):
    """Run a command where the volume is. `stdin` is read from where it stands, `size` bytes; the exit code and standard error."""

    def __call__(self, command: Sequence[str], stdin: IO[bytes], size: int, stdout: IO[bytes]) -> tuple[int, str]: ...


Reach = Callable[[], AbstractContextManager[Execute]]
"""Makes a pod to run commands in, and removes it."""


class ClaimedWorkspace:
    """Implements `labctl.runtimes.workspace.Workspace` for the session in `namespace`. `is_there` and `delete` ask the cluster for the claim, and its end."""

    def __init__(
        self,
        session: str,
        namespace: str,
        *,
        reach: Reach,
        is_there: Callable[[], bool],
        delete: Callable[[], None],
        root: str = VOLUME,
    ) -> None:
        self._session = session
        self._namespace = namespace
        self._reach = reach
        self._is_there = is_there
        self._delete = delete
        self._root = root
        self._execute: Execute | None = None

    @property
    def where(self) -> str:
        return f"volume `workspace` of namespace {self._namespace}"

    @property
    def folder(self) -> Path | None:
        return None

    @contextmanager
    def held(self) -> Iterator[None]:
        if self._execute is not None:
            yield
            return
        with self._reach() as self._execute:
            try:
                yield
            finally:
                self._execute = None

    def is_there(self) -> bool:
        return self._is_there()

    def owner(self) -> str | None:
        return self._session if self._is_there() else None

    def make(self, files: Mapping[str, Path]) -> bool:  # noqa: ARG002 - the first pod that mounts it lays them
        return False

    def put(self, files: Mapping[str, Path], *, alone: bool = False) -> None:
        with _spool() as parcel:
            packing.pack_files(files, parcel)
            self._ask("put", parcel, alone=alone)

    def keep_copy(self, now: datetime) -> str:
        name = self._ask("copy", name=f"{now:%Y-%m-%d-%H%M%S}")["name"]
        return f"{keeper.SHOWN_COPIES}/{name} in {self.where}"

    def state(self) -> str:
        return str(self._ask("state")["state"])

    def pack(self, name: PurePosixPath, sink: IO[bytes]) -> list[str]:
        left_out: list[str] = self._ask("pack", sink=sink, name=str(name))["left_out"]
        return left_out

    def unpack(self, source: IO[bytes], into: str, base: str, *, force: bool) -> PurePosixPath:
        return PurePosixPath(self._ask("unpack", source, into=into, base=base, force=force)["placed"])

    def check_purge(self) -> None:
        """The claim is labctl's own, as its namespace is."""

    def purge(self) -> None:
        self._delete()

    def _ask(
        self, operation: str, payload: IO[bytes] | None = None, sink: IO[bytes] | None = None, **asked: Any
    ) -> dict[str, Any]:
        with self.held(), _spool() as stdin, _spool() as ignored:
            assert self._execute is not None  # held
            request = {"operation": operation, "root": self._root, **_sent(stdin, payload), **asked}
            command = ["python3", "-I", "-c", _BEGIN, json.dumps(request)]
            size = stdin.tell()
            stdin.seek(0)
            code, said = self._execute(command, stdin, size, sink or ignored)
        return self._answer(code, said)

    def _answer(self, code: int, said: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(said)
        except ValueError as error:
            raise EngineError(
                f"{self.where} cannot be worked on: python3 in the lab's image ended with {code}: {said.strip()[-300:]}",
                "the image needs python3 3.10 or later; `labctl status` says how the session is",
            ) from error
        if "refused" in answer:
            raise packing.Refused(*answer["refused"])
        if "trouble" in answer:
            raise self._trouble(*answer["trouble"])
        return answer

    def _trouble(self, number: int | None, words: str) -> NotFoundError | PreflightError:
        if number == errno.ENOENT:
            return NotFoundError(f"{self.where} holds no workspace", "`labctl up LAB` makes it")
        hint = "delete what is not needed" if number in (errno.ENOSPC, errno.EDQUOT) else "mend its permissions first"
        return PreflightError(f"{self.where}: {words}", hint)


def _sent(stdin: IO[bytes], payload: IO[bytes] | None) -> dict[str, int]:
    """Write the program and what it is to read to `stdin`; how many bytes each of them has."""
    stdin.write(_program())
    program = stdin.tell()
    if payload is not None:
        payload.seek(0)
        while piece := payload.read(packing.CHUNK):
            stdin.write(piece)
    return {"program": program, "payload": stdin.tell() - program}


@cache
def _program() -> bytes:
    """The modules that run there, in the order in which they need each other."""
    modules = [(module.__name__, inspect.getsource(module)) for module in (tree, packing, unpacking, keeper)]
    packages = [(name, "__path__ = []") for name in ("labctl", "labctl.runtimes", "labctl.runtimes.kubernetes")]
    return json.dumps([*packages, *modules]).encode()


def _spool() -> Any:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)
