"""A command that borrows GPUs: in a container like the workspace's, which nothing else of the session is in.

A container whose job's lock is free (`labctl.runtimes.jobs`) has been left behind: `up`, `down`, `gc` and the next job
remove it.
"""

from __future__ import annotations

from collections.abc import Sequence

from labctl.errors import NotFoundError
from labctl.gpus.inventory import HeldGpu
from labctl.runtimes import handles as kept
from labctl.runtimes import jobs, secrets
from labctl.runtimes.docker import cli, containers, labels, networks, toolkit
from labctl.runtimes.docker.containers import Networks
from labctl.runtimes.docker.parts import Part, job, revived
from labctl.runtimes.docker.session import Session
from labctl.runtimes.gpus import borrowed
from labctl.runtimes.terminal import guarded, in_terminal


def run(session: Session, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
    """Run it with this process's terminal; its exit code. Raises NotFoundError, EngineError."""
    end_left(session)
    with jobs.begin(session.folder) as (name, lock):
        return _run(session, _part(session, name, command, gpus), lock)


def end_left(session: Session) -> bool:
    """Remove the containers of jobs that nobody waits for; whether no job is left."""
    for seen in session.refresh():
        if seen.role == "job" and jobs.is_over(session.folder, seen.part):
            containers.remove(session.client, seen.id, None)
    return jobs.forget(session.folder)


def _run(session: Session, part: Part, lock: int) -> int:
    found = networks.find(session.client, session.marks)
    if not found:
        lab = session.handle["lab"]
        raise NotFoundError(f"the network of {session.id} is gone", f"`labctl up {lab}` makes it anew")
    container = containers.create(
        session.client,
        part,
        marks={**session.marks, labels.LAB: session.handle["lab"]},
        networks=Networks(session=found[0]["Id"], front=None),
        secrets=secrets.read(session.folder.root),
        info=session.engine.info,
        stdin=True,
        tty=cli.has_terminal(),
    )
    try:
        words = guarded(cli.attach(container), cleanup=cli.remove(container))
        return in_terminal(words, cli.environment(session.engine.url), "/", lock=lock)
    finally:
        containers.remove(session.client, container, None)


def _part(session: Session, name: str, command: Sequence[str], gpus: Sequence[HeldGpu]) -> Part:
    check = session.handle["check"]
    if check is None:
        raise NotFoundError(
            f"{session.handle['lab']} names no image that a command could run in", "use --runtime local"
        )
    own = kept.own_environment(session.folder)
    cdi = toolkit.by_cdi([gpu.uuid for gpu in gpus], session.engine.info)
    return job(revived(check), name, command, own, borrowed(gpus), cdi=cdi)
