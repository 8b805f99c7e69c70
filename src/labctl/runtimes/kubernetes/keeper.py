"""The program that works on a claimed workspace: it runs in a pod where the claim is mounted, for one request.

The standard library, `labctl.tree`, `packing` and `unpacking` are all it has there, and all are sent with the request. Standard
input is what the request carries, standard output what it asks for, standard error its answer: one JSON document.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from labctl import packing, tree, unpacking

FILES, COPIES = "files", "copies"
SHOWN_COPIES = ".copies"
"""As what the dated copies are asked for."""
FAILED = 3

Request = Mapping[str, Any]


class Payload:
    """Standard input up to the size that was told: on older clusters it has no end."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        return piece


def main(asked: Request) -> None:
    """Do what is asked and answer. Ends with FAILED, and the reason in the answer, when it cannot be done."""
    try:
        answer = _OPERATIONS[asked["operation"]](asked, Payload(sys.stdin.buffer, asked["payload"]))
    except packing.Refused as refused:
        _end({"refused": [refused.what, refused.hint, refused.why]})
    except OSError as error:
        _end({"trouble": [error.errno, os.strerror(error.errno) if error.errno else str(error)]})
    else:
        sys.stdout.buffer.flush()
        sys.stderr.write(json.dumps(answer))


def _end(answer: Mapping[str, Any]) -> None:
    sys.stderr.write(json.dumps(answer))
    sys.exit(FAILED)


def _state(asked: Request, _payload: Payload) -> dict[str, Any]:
    with _files(asked) as folder:
        return {"state": tree.state(folder)}


def _copy(asked: Request, _payload: Payload) -> dict[str, Any]:
    """A copy under a name that is free, which it gets when it is whole."""
    copies = Path(asked["root"], COPIES)
    copies.mkdir(exist_ok=True)
    partial = copies / f".{secrets.token_hex(8)}"
    partial.mkdir()
    try:
        with _files(asked) as source, tree.opened(partial) as target:
            tree.copy(source, target)
        name = _free(copies, asked["name"])
        partial.rename(copies / name)
    except BaseException:
        with tree.opened(copies) as folder:
            tree.remove(folder, partial.name)
        raise
    return {"name": name}


def _put(asked: Request, payload: Payload) -> dict[str, Any]:
    """The files that are carried, in the place of what stands at their names; first all of them arrive beside the workspace."""
    arrived = f".{secrets.token_hex(8)}"
    with tree.opened(Path(asked["root"])) as root:
        try:
            unpacking.unpack(cast("IO[bytes]", payload), root, arrived, "")
            _lay(Path(asked["root"], arrived), asked)
        finally:
            tree.remove(root, arrived)
    return {}


def _lay(arrived: Path, asked: Request) -> None:
    with _files(asked) as folder:
        if asked["alone"]:
            tree.empty(folder, keep=(packing.MARKER,))
        for source in sorted(path for path in arrived.rglob("*") if path.is_file()):
            tree.put(source, folder, PurePosixPath(source.relative_to(arrived)))


def _pack(asked: Request, _payload: Payload) -> dict[str, Any]:
    name = PurePosixPath(asked["name"])
    if name.parts[:1] == (SHOWN_COPIES,):
        with tree.opened(Path(asked["root"], COPIES)) as folder:
            return {"left_out": packing.pack(folder, name.relative_to(SHOWN_COPIES), sys.stdout.buffer)}
    with _files(asked) as folder:
        return {"left_out": packing.pack(folder, name, sys.stdout.buffer)}


def _unpack(asked: Request, payload: Payload) -> dict[str, Any]:
    with _files(asked) as folder:
        placed = unpacking.unpack(
            cast("IO[bytes]", payload), folder, asked["into"], asked["base"], force=asked["force"]
        )
    return {"placed": str(placed)}


@contextlib.contextmanager
def _files(asked: Request) -> Iterator[int]:
    with tree.opened(Path(asked["root"], FILES)) as folder:
        yield folder


def _free(folder: Path, name: str) -> str:
    """`name`, or with a number behind it when it is taken."""
    number, free = 1, name
    while os.path.lexists(folder / free):
        number += 1
        free = f"{name}-{number}"
    return free


_OPERATIONS: Mapping[str, Callable[[Request, Payload], dict[str, Any]]] = {
    "state": _state,
    "copy": _copy,
    "put": _put,
    "pack": _pack,
    "unpack": _unpack,
}
