"""A command that borrows GPUs: in a pod of its own, like the workspace's.

A pod whose job's lock is free (`labctl.runtimes.jobs`) has been left behind: `up`, `down`, `gc` and the next job remove it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labctl.gpus.inventory import HeldGpu
from labctl.runtimes import handles as kept
from labctl.runtimes import jobs
from labctl.runtimes.docker.parts import job
from labctl.runtimes.gpus import borrowed
from labctl.runtimes.kubernetes import commands, kubectl
from labctl.runtimes.kubernetes.namespace import Namespace
from labctl.runtimes.terminal import guarded, in_terminal

_LONGEST_S = 7 * 24 * 3600.0


def run(namespace: Namespace, command: Sequence[str], gpus: Sequence[HeldGpu]) -> int:
    """Run it with this process's terminal; its exit code. Raises NotFoundError, EngineError."""
    end_left(namespace)
    check = commands.part_of(namespace)
    own = kept.own_environment(namespace.folder)
    part = replace(job(check, "job", ["true"], own, borrowed(gpus), cdi=False), name="job", grace_s=1.0)
    with jobs.begin(namespace.folder) as (name, lock):
        end = kubectl.delete_pod(namespace.name, name)
        with commands.pod_for(namespace, part, name=name, longest_s=_LONGEST_S) as place:
            words = kubectl.execute(place, command, cwd=part.working_dir or "/", env={}, enter=commands.ALONE)
            return in_terminal(
                guarded(words, cleanup=end), kubectl.environment(namespace.api.kubeconfig), "/", lock=lock
            )


def end_left(namespace: Namespace) -> bool:
    """Remove the pods of jobs that nobody waits for; whether no job is left."""
    namespace.refresh()
    over = [pod for pod in namespace.pods if pod.role == "job" and jobs.is_over(namespace.folder, pod.name)]
    for pod in over:
        namespace.api.delete(f"/api/v1/namespaces/{namespace.name}/pods/{pod.name}", grace_s=0)
    return jobs.forget(namespace.folder)
