"""Running a command as the session, in a pod that is made for it alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from labctl.errors import EngineError, NotFoundError
from labctl.runtimes.docker.labels import LAB
from labctl.runtimes.docker.parts import Part, revived, shown
from labctl.runtimes.kubernetes import checks, folders, kinds, labels
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.kubernetes.pods import LAB_FILES
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.runtimes.kubernetes.seen import Seen, quota_words, words_of_end, words_of_waiting
from labctl.runtimes.kubernetes.storage import Storage
from labctl.runtimes.kubernetes.streams import Place

CHECK_FILES = "check-files"
"""What of the lab only the pods of checks see."""
ALONE = """\
cd "$0" || exit 1
"$@"; code=$?
parent() { while read -r key value; do [ "$key" != PPid: ] || { echo "$value"; return; }; done < "/proc/$1/status"; }
above=' ' one=$(parent $$)
while [ "${one:-0}" -gt 1 ]; do above="$above$one "; one=$(parent "$one"); done
for other in /proc/[0-9]*; do
  other=${other#/proc/}
  case "$above 1 $$ " in *" $other "*) continue ;; esac
  case $above in *" $(parent "$other" 2>/dev/null) "*) ;; *) kill -9 "$other" 2>/dev/null ;; esac
done
exit $code
"""
"""What the command has left behind ends with it: an open stream of it would keep us waiting. What stands above us, and feeds
us, goes on.
"""
_READY_S = 120.0
_SPARE_S = 60.0


def part_of(namespace: Namespace) -> Part:
    """What commands of checks run in, as a part. Raises NotFoundError for a lab that names no image."""
    kept = namespace.handle.get("check")
    if kept is None:
        raise NotFoundError(
            f"{namespace.handle.get('lab', namespace.session)} names no image that a command could run in",
            "give workspace.image in the lab file, for example docker/workspace",
        )
    return replace(revived(kept), grace_s=0.0)  # nobody waits for its end


@contextmanager
def pod_for(namespace: Namespace, part: Part, *, name: str = "", longest_s: float) -> Iterator[Place]:
    """A pod that waits for a command, gone afterwards. Raises EngineError when the cluster does not start it."""
    name = name or f"{part.role}-{uuid.uuid4().hex[:12]}"
    manifest = _of_template(namespace, name, longest_s) or check_pod(namespace, part, name, longest_s)
    with namespace.cluster.feed.followed():
        _create(namespace, manifest)
        try:
            await_running(namespace, name)
            yield Place(namespace=namespace.name, pod=name, container=part.role)
        finally:
            namespace.api.delete(kinds.path("Pod", namespace.name, name))


def in_workspace(part: Part, command: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """`command` in the workspace with `env` besides, as shells end: 127 for what is not there, 126 for what cannot run."""
    more = [f"{key}={value}" for key, value in env.items()]
    return ["env", *more, "sh", "-c", ALONE, part.working_dir or "/", *command]


def _create(namespace: Namespace, manifest: kinds.Manifest) -> None:
    """Make the pod as soon as the session's quota has room: other commands of checks may be using it."""
    deadline = time.monotonic() + _READY_S
    while True:
        version = namespace.cluster.feed.version
        try:
            namespace.api.create(manifest)
        except ApiError as error:
            if not quota_words(error.what) or time.monotonic() > deadline:
                raise
            namespace.cluster.feed.wait(version, 1.0)
        else:
            return


def _of_template(namespace: Namespace, name: str, longest_s: float) -> kinds.Manifest | None:
    """The same pod as whoever sees the lab's files has made it; None where nobody had to."""
    kept = namespace.handle.get("check_pod")
    if kept is None:
        return None
    spec = {**kept["spec"], "activeDeadlineSeconds": max(1, round(longest_s + _SPARE_S))}
    return {**kept, "metadata": {**kept["metadata"], "name": name}, "spec": spec}


def check_pod(namespace: Namespace, part: Part, name: str, longest_s: float) -> kinds.Manifest:
    """The pod of a command; the files that it sees are in the cluster when this returns."""
    handle = namespace.handle
    return checks.pod(
        part,
        name,
        namespace=namespace.name,
        marks={**labels.of_session(namespace.session, namespace.home), LAB: handle["lab"]},
        storage=Storage(**handle["storage"]),
        models=handle["models"],
        workspace=handle["workspace"],
        files=_files(namespace, part),
        longest_s=longest_s + _SPARE_S,
    )


def _files(namespace: Namespace, part: Part) -> folders.Folder:
    """What it sees of the lab: what the session sees, and for a check the checks' own files."""
    lab = Path(namespace.handle["lab_path"])
    seen = shown(lab) if part.role == "job" else [*shown(lab), "checks"]
    if part.role == "job" or not (lab / "checks").is_dir():
        return folders.read(LAB_FILES, lab, shown(lab))
    found = folders.read(CHECK_FILES, lab, seen)
    marks = {**labels.of_session(namespace.session, namespace.home), LAB: namespace.handle["lab"]}
    from labctl.runtimes.kubernetes.fences import marked

    for manifest in found.manifests():
        namespace.api.apply(marked(manifest, namespace.name, marks))
    return found


def await_running(namespace: Namespace, name: str) -> None:
    feed, deadline = namespace.cluster.feed, time.monotonic() + _READY_S
    while True:
        version = feed.version
        pod = next((each for each in feed.pods(namespace.name) if each.name == name), None)
        if pod is not None and pod.running:
            return
        if pod is not None and pod.is_over:
            raise EngineError(
                f"pod/{name} {words_of_end(pod)} before it was used", "`labctl status` says how the session is"
            )
        if time.monotonic() > deadline:
            raise _late(pod, name)
        feed.wait(version, 1.0)


def _late(pod: Seen | None, name: str) -> EngineError:
    why = words_of_waiting(pod) if pod else "the cluster has not made it"
    return EngineError(
        f"pod/{name} does not start: {why or 'the cluster does not say why'}", "`labctl status` says more"
    )
