"""What a check looks at: a session, through three questions (run, read, request).

Each runtime brings its own implementation; `connect` rebuilds one from its `TargetSpec` in another process, which is how
checks that run as a process of their own (pytest) reach the same session.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_OUTPUT_BYTES = 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024


class CannotLook(Exception):
    """The target could not be asked: nothing is known about the learner's work. Becomes the outcome `error`."""


class Unreachable(Exception):
    """A service that runs the learner's own code did not answer: the learner's failure, not ours."""


class RefusedPath(Exception):
    """A path leads out of the workspace (absolute, `..`, or through a symbolic link)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """A finished command. Output is cut to the limit asked for; `timed_out` means it was killed with all its children."""

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float
    timed_out: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request to a service of the session. `timeout_s` bounds the whole exchange, body included."""

    service: str
    path: str = "/"
    port: str | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float = 30.0
    max_bytes: int = MAX_OUTPUT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Header names are lower case. `truncated` means the body was longer than the request's `max_bytes`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_s: float
    truncated: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A path in the workspace that exists. One that is not `readable` is a link that leads out or nowhere, a FIFO or a device."""

    path: str
    is_dir: bool
    size_bytes: int
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """How to reach a target from another process: `factory` is `module:function`, called with `arguments` (JSON values)."""

    factory: str
    arguments: Mapping[str, Any]


class Target(Protocol):
    """A session as a check sees it. Every method raises CannotLook when the session cannot be asked.

    Paths are relative to the workspace, or absolute below the lab's folder or a model's folder (what labctl itself
    provided). Symbolic links in the workspace are not followed out of it: RefusedPath.
    """

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> CommandResult:
        """Run `command` as the session, in the workspace, with the workspace's environment; `env` is added to it."""
        ...

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """At most `max_bytes` of a file. FileNotFoundError when there is none, IsADirectoryError for a folder."""
        ...

    def find(self, pattern: str) -> list[FileInfo]:
        """What a glob relative to the workspace matches, sorted by path, at most 10,000; an empty list for nothing."""
        ...

    def request(self, request: Request) -> Response:
        """One HTTP exchange. Unreachable when a learner's own service does not answer, CannotLook for any other."""
        ...

    def logs(self, service: str, *, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
        """The end of a service's log, stdout and stderr together."""
        ...

    def url(self, service: str, port: str | None = None) -> str:
        """Base URL of a service's port as this process reaches it; the service's first port when `port` is None."""
        ...

    def spec(self) -> TargetSpec:
        """How another process rebuilds this target."""
        ...


def connect(spec: TargetSpec) -> Target:
    """The target that `spec` describes."""
    module, _, function = spec.factory.partition(":")
    target: Target = getattr(importlib.import_module(module), function)(**spec.arguments)
    return target
