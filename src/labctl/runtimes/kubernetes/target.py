"""The session on a cluster as checks see it.

Commands run in a pod that is made for the one command: whatever the learner left running has no process of a check to meddle
with. Files are read where the workspace is: in a folder that this host shares with the nodes, or in a pod that mounts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from labctl.errors import LabctlError
from labctl.runtimes import files, named
from labctl.runtimes.exchange import NoAnswer, answer_over
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import commands, forwards, state, streams
from labctl.runtimes.kubernetes.configured import is_inside
from labctl.runtimes.kubernetes.namespace import Cluster, Namespace
from labctl.runtimes.kubernetes.seen import answering
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


def connect(**handle: Any) -> KubernetesTarget:
    """The target of the session that `handle` describes; what `TargetSpec.factory` names."""
    from labctl.settings import load

    only = handle["namespace"] if "check_pod" in handle else None  # in the judge, whose account sees no other
    return KubernetesTarget(handle, Cluster(Path(handle["home"]), load().kubeconfig, only))


class KubernetesTarget:
    """Implements `labctl.target.Target` for a session in a namespace."""

    def __init__(self, handle: Mapping[str, Any], cluster: Cluster) -> None:
        self._handle = dict(handle)
        self._cluster = cluster

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
            self._look_for_workspace()
            part = commands.part_of(self._namespace)
            with commands.pod_for(self._namespace, part, longest_s=timeout_s) as place:
                return streams.run(
                    self._cluster.api,
                    place,
                    commands.in_workspace(part, command, env or {}),
                    stdin=stdin,
                    timeout_s=timeout_s,
                    max_output_bytes=max_output_bytes,
                )
        except LabctlError as error:
            raise CannotLook(f"{command[0]} cannot be run: {error.what}") from error

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        return files.read(self._on_host(path), self._folder, self._trusted, max_bytes)

    def find(self, pattern: str) -> list[FileInfo]:
        return files.find(pattern, self._folder)

    def request(self, request: Request) -> Response:
        _, port = named.port(self._handle, request.service, request.port)
        try:
            return answer_over(lambda timeout_s: self._connected(request.service, port, timeout_s), request)
        except NoAnswer as error:
            raise self._unanswered(request, str(error)) from error

    def logs(self, service: str, *, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
        named.service(self._handle, service)
        try:
            pod = self._namespace.refresh().pod(service)
            said = self._namespace.log(pod, service, max(100, max_bytes // 20)) if pod else b""
        except LabctlError as error:
            raise CannotLook(f"the log of {service} cannot be read: {error.what}") from error
        return said[-max_bytes:].decode(errors="replace")

    def url(self, service: str, port: str | None = None) -> str:
        name, _ = named.port(self._handle, service, port)
        ways = forwards.ways(self._namespace.folder, self._namespace.name, self._handle["services"])
        if (service, name) not in ways:
            lab = self._handle["lab"]
            raise CannotLook(f"the ports of the session are not forwarded; `labctl up {lab}` forwards them")
        return ways[service, name].url

    def spec(self) -> TargetSpec:
        return TargetSpec(factory=f"{__name__}:connect", arguments=self._handle)

    @cached_property
    def _namespace(self) -> Namespace:
        folder = SessionFolder(Path(self._handle["home"]), self._handle["session"])
        return Namespace(self._cluster, folder, self._handle)

    @property
    def _folder(self) -> Path:
        """The workspace as this process sees it."""
        folder = self._handle.get("folder") or self._handle["storage"]["folder"]
        if folder is None:
            raise CannotLook("the workspace is a volume of the cluster, which this process does not see")
        return Path(folder)

    @property
    def _trusted(self) -> list[Path]:
        return [Path(self._lab), Path("/models")]

    @property
    def _lab(self) -> str:
        """The lab's folder as this process sees it."""
        return str(self._handle.get("lab_folder") or self._handle["lab_path"])

    def _on_host(self, path: str) -> str:
        """An absolute path of the session as this host has it; any other as it is."""
        pure = PurePosixPath(path)
        for inside, outside in ((self._handle["workspace"], str(self._folder)), ("/lab", self._lab)):
            if pure.is_absolute() and pure.is_relative_to(inside):
                return str(PurePosixPath(outside) / pure.relative_to(inside))
        return path

    def _look_for_workspace(self) -> None:
        folder = self._handle.get("folder") or self._handle["storage"]["folder"]
        if folder is not None and not Path(folder).is_dir():
            raise CannotLook(f"the workspace {folder} is gone")

    def _connected(self, service: str, port: int, timeout_s: float) -> Any:
        """A connection to the pod of a service. Raises OSError."""
        import socket

        if is_inside():
            return socket.create_connection((f"{service}.{self._namespace.name}.svc", port), timeout=timeout_s)
        try:
            pod = answering(self._namespace.refresh().pods, service)
            if pod is None or not pod.running:
                raise ConnectionRefusedError
            return streams.connect(self._cluster.api, self._namespace.name, pod.name, port)
        except LabctlError as error:
            raise OSError(error.what) from error

    def _unanswered(self, request: Request, why: str) -> Unreachable | CannotLook:
        """Whose fault it is: a learner's own service that does not answer is the learner's."""
        service = request.service
        try:
            said = state.words(self._namespace.refresh(), service)
            lines = self._namespace.last_lines(service, _LOG_LINES)
        except LabctlError as error:
            return CannotLook(error.what)
        text = "\n    ".join([f"{service} did not answer {request.method} {request.path}: {why}; {said}", *lines])
        return Unreachable(text) if named.service(self._handle, service)["owner"] == "learner" else CannotLook(text)
