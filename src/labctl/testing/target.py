"""A target without a runtime: a real folder as the workspace, prepared answers for services, prepared logs."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.process import run_process
from labctl.runtimes import files
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

Answer = Response | Callable[[Request], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeTarget:
    """A session for unit tests. `run` runs real commands in `folder`; `answers` maps (service, method, path) to an answer.

    A path with its query is looked up first, then the path alone. What is not in `answers` does not answer: Unreachable
    for `learner_services`, else CannotLook. `provided` are folders that may be read by absolute path; `environment` is what
    commands see besides PATH and HOME.
    """

    folder: Path
    answers: Mapping[tuple[str, str, str], Answer] = field(default_factory=dict)
    service_logs: Mapping[str, str] = field(default_factory=dict)
    learner_services: frozenset[str] = frozenset()
    provided: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> CommandResult:
        clean = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            **self.environment,
            **(env or {}),
        }
        return run_process(
            command, cwd=self.folder, env=clean, timeout_s=timeout_s, stdin=stdin, max_output_bytes=max_output_bytes
        )

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        return files.read(path, self.folder, self.provided, max_bytes)

    def find(self, pattern: str) -> list[FileInfo]:
        return files.find(pattern, self.folder)

    def request(self, request: Request) -> Response:
        path = request.path.partition("?")[0]
        answers = (self.answers.get((request.service, request.method, key)) for key in (request.path, path))
        answer = next((found for found in answers if found is not None), None)
        if answer is None:
            silent = Unreachable if request.service in self.learner_services else CannotLook
            raise silent(f"{request.service} does not answer {request.method} {request.path}")
        return answer if isinstance(answer, Response) else answer(request)

    def logs(self, service: str, *, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
        if service not in self.service_logs:
            raise CannotLook(f"there is no log of {service}")
        return self.service_logs[service][-max_bytes:]

    def url(self, service: str, port: str | None = None) -> str:
        return f"http://{service}.invalid" + (f"/{port}" if port else "")

    def spec(self) -> TargetSpec:
        """Prepared answers reach the other process; answers that are functions cannot, and are silent there."""
        answers = [
            [*key, answer.status, dict(answer.headers), base64.b64encode(answer.body).decode(), answer.duration_s]
            for key, answer in self.answers.items()
            if isinstance(answer, Response)
        ]
        arguments = {
            "folder": str(self.folder),
            "answers": answers,
            "service_logs": dict(self.service_logs),
            "learner_services": sorted(self.learner_services),
            "provided": [str(path) for path in self.provided],
            "environment": dict(self.environment),
        }
        return TargetSpec(factory="labctl.testing.target:rebuild", arguments=arguments)


def rebuild(
    folder: str,
    answers: Sequence[Sequence[Any]],
    service_logs: Mapping[str, str],
    learner_services: Sequence[str],
    provided: Sequence[str],
    environment: Mapping[str, str],
) -> FakeTarget:
    """The FakeTarget whose `spec` these arguments are."""
    return FakeTarget(
        folder=Path(folder),
        answers={
            (service, method, path): Response(
                status=status, headers=headers, body=base64.b64decode(body), duration_s=duration_s
            )
            for service, method, path, status, headers, body, duration_s in answers
        },
        service_logs=service_logs,
        learner_services=frozenset(learner_services),
        provided=tuple(map(Path, provided)),
        environment=environment,
    )


def answer(value: Any = None, *, text: str | None = None, status: int = 200, duration_s: float = 0.01) -> Response:
    """A service's answer: `value` as JSON, or `text` as plain text."""
    if text is not None:
        return Response(
            status=status, headers={"content-type": "text/plain"}, body=text.encode(), duration_s=duration_s
        )
    body = json.dumps(value).encode()
    return Response(status=status, headers={"content-type": "application/json"}, body=body, duration_s=duration_s)


def completion(text: str, *, tokens: int = 5, duration_s: float = 0.01) -> Response:
    """The answer of an OpenAI-compatible chat endpoint."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return answer({"object": "chat.completion", "choices": [choice], "usage": usage}, duration_s=duration_s)
