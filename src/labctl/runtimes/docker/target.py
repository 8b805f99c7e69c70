"""The docker session as checks see it.

Files are read on the host, where the workspace is. Commands run in a container that is made for the one command: whatever the
learner left running in the session has no process of a check to meddle with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from labctl.errors import LabctlError
from labctl.process import run_process
from labctl.runtimes import files, named, secrets
from labctl.runtimes.docker import cli, containers, labels, networks, state
from labctl.runtimes.docker.containers import Networks
from labctl.runtimes.docker.engine import Engine
from labctl.runtimes.docker.parts import INGRESS_NAME, revived
from labctl.runtimes.docker.session import Session
from labctl.runtimes.exchange import NoAnswer, answer
from labctl.runtimes.folder import SessionFolder
from labctl.target import (
    MAX_FILE_BYTES,
    MAX_OUTPUT_BYTES,
    CannotLook,
    CommandResult,
    FileInfo,
    Request,
    Response,
    TargetSpec,
    Unreachable,
)

_LOG_LINES = 5
_SPARE_S = 120.0
"""So much later than at its timeout a command's container is nobody's any more: its `verify` was killed."""


def connect(**handle: Any) -> DockerTarget:
    """The target of the session that `handle` describes; what `TargetSpec.factory` names."""
    from labctl.settings import load

    return DockerTarget(handle, Engine(load()))


class DockerTarget:
    """Implements `labctl.target.Target` for a session of containers."""

    def __init__(self, handle: Mapping[str, Any], engine: Engine) -> None:
        self._handle = dict(handle)
        self._engine = engine

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> CommandResult:
        try:
            container = self._check_container(command, env or {}, timeout_s)
            try:
                return run_process(
                    cli.attach(container),
                    env=cli.environment(self._engine.url),
                    cwd=Path("/"),
                    timeout_s=timeout_s,
                    stdin=stdin,
                    max_output_bytes=max_output_bytes,
                )
            finally:
                containers.remove(self._session.client, container, None)
        except LabctlError as error:
            raise CannotLook(f"{command[0]} cannot be run: {error.what}") from error

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        return files.read(self._on_host(path), self._workspace, self._trusted, max_bytes)

    def find(self, pattern: str) -> list[FileInfo]:
        return files.find(pattern, self._workspace)

    def request(self, request: Request) -> Response:
        port = self._port(request.service, request.port)
        try:
            return answer(port, request)
        except NoAnswer as error:
            raise self._unanswered(request, str(error)) from error

    def logs(self, service: str, *, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
        named.service(self._handle, service)
        return self._tail(service, max_bytes)

    def url(self, service: str, port: str | None = None) -> str:
        return f"http://127.0.0.1:{self._port(service, port)}"

    def spec(self) -> TargetSpec:
        return TargetSpec(factory=f"{__name__}:connect", arguments=self._handle)

    @cached_property
    def _session(self) -> Session:
        folder = SessionFolder(Path(self._handle["home"]), self._handle["session"])
        session = Session(self._engine, folder, self._handle)
        session.refresh()
        return session

    @property
    def _workspace(self) -> Path:
        return Path(self._handle["workspace"])

    @property
    def _trusted(self) -> list[Path]:
        places = [Path(place) for place in self._handle["paths"].values()]
        return [place for place in places if place != self._workspace]

    def _on_host(self, path: str) -> str:
        """An absolute path of the session as the host has it; any other as it is."""
        pure = PurePosixPath(path)
        for inside, outside in self._handle["paths"].items():
            if pure.is_absolute() and pure.is_relative_to(inside):
                return str(PurePosixPath(outside) / pure.relative_to(inside))
        return path

    def _check_container(self, command: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str:
        """A fresh container for one command, not started yet; its id."""
        session, kept = self._session, self._handle["check"]
        if kept is None:
            raise CannotLook("the lab names no image that a command could run in")
        if not self._workspace.is_dir():
            raise CannotLook(f"the workspace {self._workspace} is gone")
        found = networks.find(session.client, session.marks)
        if not found:
            raise CannotLook(f"the session's network is gone; `labctl up {self._handle['lab']}` makes it anew")
        part = replace(
            revived(kept),
            command=tuple(command[1:]),
            entrypoint=(command[0],),
            environment={**kept["environment"], **env},
        )
        return containers.create(
            session.client,
            part,
            marks={**session.marks, labels.LAB: self._handle["lab"], labels.EXPIRES: _by(timeout_s + _SPARE_S)},
            networks=Networks(session=found[0]["Id"], front=None),
            secrets=secrets.read(session.folder.root),
            info=self._engine.info,
            stdin=True,
        )

    def _unanswered(self, request: Request, why: str) -> Unreachable | CannotLook:
        """Whose fault it is: a learner's own service that does not answer is the learner's, a dead ingress is not."""
        service, session = request.service, self._session
        ingress = session.look(INGRESS_NAME)
        said = state.words(session, service)
        text = f"{service} did not answer {request.method} {request.path}: {why}; {said}"
        text = "\n    ".join([text, *self._lines(service, _LOG_LINES)])
        is_learners = (
            named.service(self._handle, service)["owner"] == "learner" and ingress and ingress.status == "running"
        )
        return Unreachable(text) if is_learners else CannotLook(text)

    def _tail(self, service: str, max_bytes: int) -> str:
        """The engine counts lines: ask for more of them until they are enough, or all there are."""
        count, before = max(100, max_bytes // 100), -1
        try:
            self._session.look(service)
            while True:
                text = self._session.log(service, count)
                if len(text) >= max_bytes or len(text) == before:
                    return text[-max_bytes:].decode(errors="replace")
                count, before = count * 8, len(text)
        except LabctlError as error:
            raise CannotLook(f"the log of {service} cannot be read: {error.what}") from error

    def _lines(self, service: str, count: int) -> list[str]:
        try:
            self._session.look(service)
            return self._session.last_lines(service, count)
        except LabctlError as error:
            raise CannotLook(f"the log of {service} cannot be read: {error.what}") from error

    def _port(self, service: str, port: str | None) -> int:
        name, _ = named.port(self._handle, service, port)
        try:
            published = self._session.published()
            if not published:
                self._session.refresh()
                published = self._session.published()
        except LabctlError as error:
            raise CannotLook(error.what) from error
        if (service, name) not in published:
            lab = self._handle["lab"]
            raise CannotLook(f"the session's ingress does not run; `labctl up {lab}` brings it back")
        return published[service, name]


def _by(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
