"""The local session as checks see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.process import run_process
from labctl.runtimes import files, named, secrets
from labctl.runtimes.exchange import LOOPBACK, NoAnswer, answer
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import environment, logs, state
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


def connect(**handle: Any) -> LocalTarget:
    """The target of the session that `handle` describes; what `TargetSpec.factory` names."""
    return LocalTarget(handle)


class LocalTarget:
    """Implements `labctl.target.Target` for processes of this user."""

    def __init__(self, handle: Mapping[str, Any]) -> None:
        self._handle = dict(handle)
        self._workspace = Path(handle["workspace"])
        self._trusted = [Path(folder) for folder in (handle["lab_path"], handle["models"], *handle["model_paths"])]

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> CommandResult:
        if not self._workspace.is_dir():
            raise CannotLook(f"the workspace {self._workspace} is gone")
        known = secrets.read(self._folder.root)
        try:
            return run_process(
                command,
                env={**environment.of_host(), **secrets.fill_all(self._handle["environment"], known), **(env or {})},
                cwd=self._workspace,
                timeout_s=timeout_s,
                stdin=stdin,
                max_output_bytes=max_output_bytes,
            )
        except (OSError, ValueError) as error:
            raise CannotLook(f"{command[0]} cannot be started: {error}") from error

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        return files.read(path, self._workspace, self._trusted, max_bytes)

    def find(self, pattern: str) -> list[FileInfo]:
        return files.find(pattern, self._workspace)

    def request(self, request: Request) -> Response:
        _, port = named.port(self._handle, request.service, request.port)
        try:
            return answer(port, request)
        except NoAnswer as error:
            raise self._unanswered(request, str(error)) from error

    def logs(self, service: str, *, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
        named.service(self._handle, service)
        return logs.tail(self._folder.log(service), max_bytes)

    def url(self, service: str, port: str | None = None) -> str:
        return f"http://{LOOPBACK}:{named.port(self._handle, service, port)[1]}"

    def spec(self) -> TargetSpec:
        return TargetSpec(factory=f"{__name__}:connect", arguments=self._handle)

    def _unanswered(self, request: Request, why: str) -> Unreachable | CannotLook:
        """Whose fault it is: a learner's own service that does not answer is the learner's."""
        service = request.service
        what = f"{service} did not answer {request.method} {request.path}: {why}; {state.now(self._handle, self._folder, service)}"
        lines = logs.last_lines(self._folder.log(service), _LOG_LINES)
        text = "\n    ".join([what, *lines])
        return Unreachable(text) if named.service(self._handle, service)["owner"] == "learner" else CannotLook(text)

    @property
    def _folder(self) -> SessionFolder:
        return SessionFolder(Path(self._handle["home"]), self._handle["session"])
