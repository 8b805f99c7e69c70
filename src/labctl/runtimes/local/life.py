"""A session's life on this host: its services brought to the plan, and all that belongs to it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from labctl.errors import EngineError
from labctl.progress import Progress, Step
from labctl.runtimes import jobs
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local import config, environment, envs, handles
from labctl.runtimes.local.bringing import Bringing
from labctl.runtimes.local.ports import PortName
from labctl.runtimes.local.supervisor import Process, Supervisor

if TYPE_CHECKING:
    import psutil

    from labctl.plan import Plan

GRACE_S = 10.0
JOB_GRACE_S = 3.0
"""What a job's guard gives it."""
JOB = "LABCTL_JOB"
"""In the environment of what `run` has started: it holds GPUs of its own."""
_MADE_BY_UP = (
    "supervisord.conf",
    "supervisord.pid",
    "supervisor.sock",
    "ports.json",
    "healthy.json",
    "handle.json",
    "plan.json",
)


def bring_up(plan: Plan, handle: Mapping[str, Any], folder: SessionFolder, progress: Progress) -> list[str]:
    """Make supervisord's services those of the plan, and each of them healthy; the names of what was changed."""
    config.write(plan, folder, {env.name: str(envs.folder(folder.home, env)) for env in plan.envs})
    supervisor = Supervisor(folder)
    before = supervisor.processes()
    if before is None and not plan.services:
        return []
    removed: list[str] = []
    if before is None:
        end_processes(folder, handles.grace_s(handle), LABCTL_SERVICE=None)  # what a killed supervisor left behind
        supervisor.start_daemon({**environment.of_host(), **folder.marks, "LABCTL_SERVICE": ""})
    else:
        removed = _apply(supervisor, handles.grace_s(handle))

    def clean(name: str) -> None:
        if before and name in before and before[name].started_at:
            end_processes(folder, GRACE_S, LABCTL_SERVICE=name)

    bringing = Bringing(plan, handle, supervisor, folder, progress, clean)
    bringing.run()
    return [*removed, *bringing.started]


def take_down(handle: Mapping[str, Any], folder: SessionFolder, progress: Progress) -> None:
    """End every process of the session and remove what `up` made but its logs. Raises EngineError for what does not end."""
    supervisor = Supervisor(folder)
    grace_s = handles.grace_s(handle)
    try:
        running = supervisor.processes() or {}
        for name in running:
            progress(Step(name=f"service {name}", state="started", detail="stopping"))
        supervisor.stop(running, grace_s)
        supervisor.shutdown()
    except EngineError as error:  # a supervisor that hangs is killed with the rest
        progress(Step(name=folder.session, state="progress", detail=error.what))
    end_processes(folder, grace_s)
    jobs.forget(folder)
    for name in _MADE_BY_UP:
        (folder.root / name).unlink(missing_ok=True)
    for file in folder.launches.glob("*.json"):
        file.unlink(missing_ok=True)
    progress(Step(name=folder.session, state="done", detail=f"its logs stay in {folder.logs}"))


def end_services(names: Sequence[str], grace_s: float, folder: SessionFolder) -> None:
    """Stop these services, with all that they started; nothing happens when the supervisor does not know or run them."""
    supervisor = Supervisor(folder)
    running = supervisor.processes()
    if running is not None:
        supervisor.stop([name for name in names if name in running], grace_s)
    for name in names:
        end_processes(folder, GRACE_S, LABCTL_SERVICE=name)


def end_gpu_users(folder: SessionFolder) -> None:
    """End what computes on the session's GPUs, or is about to: notebooks' kernels, training in the background.

    A shell or an editor on a terminal has been told of the GPUs too: it ends only when it has opened one.
    """
    from labctl.runtimes.local import processes

    found = [each for each in processes.find({**folder.marks, "CUDA_VISIBLE_DEVICES": None}) if _uses_gpus(each.pid)]
    left = processes.end(found, GRACE_S)
    if left:
        _refuse(left, folder)


def end_left_jobs(folder: SessionFolder) -> bool:
    """End what is left of jobs whose labctl has died, with its guard; whether none is left. Raises EngineError for what
    does not end.
    """
    from labctl.runtimes.local import processes

    names = {processes.variables(each.pid).get(JOB, "") for each in processes.find({**folder.marks, JOB: None})}
    for name in names:
        if jobs.is_over(folder, name):
            end_processes(folder, JOB_GRACE_S, **{JOB: name})
    return jobs.forget(folder)


def end_processes(folder: SessionFolder, grace_s: float, **marks: str | None) -> None:
    """End whatever bears the session's id (and `marks`), also what left its process group. Raises EngineError.

    LABCTL_SERVICE is borne by services and, empty, by their supervisor; not by what the learner runs in the workspace.
    """
    from labctl.runtimes.local import processes  # psutil: not for an `up` that has nothing to do

    left = processes.end_all({**folder.marks, **marks}, grace_s)
    if left:
        _refuse(left, folder)


def port_holder(folder: SessionFolder) -> Callable[[PortName, int], bool]:
    """A function that says whether a port that is in use is held by the session itself."""
    found: list[dict[str, Process] | None] = []

    def is_ours(name: PortName, port: int) -> bool:
        if not found:
            found.append(Supervisor(folder).processes())
        if found[0] and name[0] in found[0] and found[0][name[0]].state == "RUNNING":
            return True
        from labctl.runtimes.local import processes

        return port in processes.listening_ports(processes.find(folder.marks))

    return is_ours


def end_watch(folder: SessionFolder, service: str) -> Callable[[], bool]:
    """A function that says, looking at most once a second, whether the service's process is gone for good."""
    state = {"next": 0.0, "over": False}

    def is_over() -> bool:
        if time.monotonic() >= state["next"]:
            process = (Supervisor(folder).processes() or {}).get(service)
            waits = process is not None and (process.is_alive or process.state == "BACKOFF")
            state.update(next=time.monotonic() + 1.0, over=not waits)
        return bool(state["over"])

    return is_over


def _refuse(left: Sequence[psutil.Process], folder: SessionFolder) -> NoReturn:
    pids = ", ".join(str(process.pid) for process in left)
    raise EngineError(f"processes {pids} of {folder.session} cannot be ended", f"`kill -9 {pids.replace(',', '')}`")


def _uses_gpus(pid: int) -> bool:
    from labctl.runtimes.local import processes

    values = processes.variables(pid)
    if not values.get("CUDA_VISIBLE_DEVICES") or JOB in values:
        return False
    return processes.has_opened_gpu(pid) or not processes.has_terminal(pid)


def _apply(supervisor: Supervisor, grace_s: float) -> list[str]:
    """Have supervisord take over its configuration; the services that are gone."""
    added, changed, removed = supervisor.reload()
    supervisor.stop([*changed, *removed], grace_s)
    for name in [*changed, *removed]:
        supervisor.remove(name)
    for name in [*added, *changed]:
        supervisor.add(name)
    return removed
