"""`up`: bring a learner's session of a lab to its plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import __version__
from labctl.errors import LabctlError, PreflightError, UnhealthyError, UsageError
from labctl.images.names import builtin_folder as images_folder
from labctl.labs import catalog
from labctl.labs.digest import fingerprint, folder_digest
from labctl.names import session_id
from labctl.sessions import notebooks
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.sessions.place import check_place
from labctl.sessions.presence import touch
from labctl.sessions.view import SessionView, view, with_changes
from labctl.settings import Settings
from labctl.store.lock import session_lock
from labctl.store.records import Session, SessionState, iso

if TYPE_CHECKING:
    from labctl.gpus.inventory import Allocation
    from labctl.gpus.need import Need
    from labctl.labs.lab import Lab
    from labctl.notebook import Notebook
    from labctl.plan import Plan, ProfileName
    from labctl.progress import Progress
    from labctl.runtimes.base import Handle, Runtime
    from labctl.runtimes.workspace import Workspace
    from labctl.sessions.claims import Claim, Refused

DEFAULT_TTL_S = 8 * 3600.0
HEALTHY = ("running", "exited")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpRequest:
    """What the learner asked for; None leaves the choice to the running session, the settings or labctl."""

    lab: str
    learner: str
    cohort: str | None = None
    """The class that the session is part of; a learner's own session of the same lab is another one."""
    runtime: str | None = None
    profile: str | None = None
    workspace: Path | None = None
    ttl_s: float | None = None
    idle_timeout_s: float | None = None
    """`math.inf` is never."""
    no_gpu: bool = False
    """The gpu profile without its GPUs and the services that need them: `labctl run` borrows one for a command."""
    wait: bool = False
    """Stand in line for a GPU instead of being refused."""
    priority: int = 0
    """Before those with a smaller one in that line; for the operator only."""
    notebook: Notebook | None = None
    """JupyterLab for a portal; a session that has one keeps it."""
    gpu_need: Callable[[Need], Need] = lambda asked: asked
    """What is asked of GPUs, in the place of what the lab asks: a cohort may share them otherwise."""

    def session(self, lab: str) -> str:
        """The id of the session; `lab` is the lab's id, which `self.lab` may be the folder of."""
        return session_id(lab, self.learner, self.cohort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with the runtime that will carry it out; nothing has been changed yet."""

    runtime: Runtime
    plan: Plan
    workspace: Path
    fingerprint: str
    kept: Workspace
    """Where the learner's files are; `workspace` when that is a folder of this host."""
    before: Session | None


def up(
    ctx: Context,
    request: UpRequest,
    progress: Progress,
    *,
    waiting: Callable[[], None] = lambda: None,
    announce: Callable[[list[str]], None] = lambda _todo: None,
) -> SessionView:
    """Start the session, or mend what is wrong with it; `changed` is empty when there was nothing to do.

    `announce` is told what will be done before anything is; `waiting` that another process has the session in hand.
    Raises PreflightError, UnhealthyError, EngineError, LabFileError, NotFoundError, UsageError.
    """
    folder = catalog.find(request.lab, ctx.settings.labs)
    session = request.session(folder.name)
    with session_lock(ctx.settings.home, session, waiting=waiting):
        touch(ctx.settings.home, session, ctx.now())
        request = replace(request, notebook=request.notebook or notebooks.kept(ctx.settings.home, session))
        nothing = _nothing_to_do(ctx, request, session, folder)
        if nothing:
            return nothing
        with _taken_for_nothing(ctx, session):
            prepared = prepare(ctx, request, progress)
            _check(prepared)
            announce(changes(prepared))
            record = _record(ctx, request, prepared, progress)
        return _start(ctx, record, prepared, progress)


def prepare(ctx: Context, request: UpRequest, progress: Progress | None = None) -> Prepared:
    """Choose runtime, profile, GPUs and places, and plan. The GPUs are the session's from then on.

    Without `progress` it is only looked: nothing changes but the ports that the runtime reserves.
    """
    from labctl.labs import lab as labs
    from labctl.planning import plan

    folder = catalog.find(request.lab, ctx.settings.labs)
    before = ctx.store.session(request.session(folder.name))
    live = before if before and before.live else None
    runtime = ctx.runtime(_runtime_name(ctx, request, live))
    lab = labs.load_folder(folder)
    workspace, kept = _places(ctx, request, before, lab, runtime)
    profile, allocation = _size(ctx, request, live, lab, runtime, progress)
    layout = runtime.layout(lab, request.session(lab.id), workspace)
    made = plan(
        lab, learner=request.learner, cohort=request.cohort, profile=profile, layout=layout, allocation=allocation
    )
    if request.no_gpu:
        made = made.without_gpus()
    if request.notebook:
        made = made.model_copy(update={"notebook": request.notebook})
    held = [gpu.uuid for gpu in allocation.gpus] if allocation else []
    mark = _fingerprint(ctx.settings, folder, runtime.name, _size_mark(profile, held, request), workspace)
    return Prepared(runtime=runtime, plan=made, workspace=workspace, kept=kept, fingerprint=mark, before=before)


def changes(prepared: Prepared) -> list[str]:
    """What `up` would do now, in words; empty when the session already runs as planned."""
    place = prepared.kept
    starter = [] if place.owner() else [f"make the workspace {place.where}"]
    return starter + prepared.runtime.changes(prepared.plan)


def _nothing_to_do(ctx: Context, request: UpRequest, id: str, folder: Path) -> SessionView | None:
    """The session as it is, when it runs exactly what `up` would start; the quick way out of a second `up`."""
    session = ctx.store.session(id)
    if session is None or session.state is not SessionState.RUNNING or session.expired(ctx.now()):
        return None
    same_runtime = request.runtime in (None, session.runtime)
    same_profile = request.profile in (None, session.profile)
    same_place = request.workspace is None or request.workspace.expanduser().resolve() == Path(session.workspace)
    if not (same_runtime and same_profile and same_place and request.ttl_s is None and request.idle_timeout_s is None):
        return None
    place = Path(session.workspace)
    size = _size_mark(session.profile, [gpu["uuid"] for gpu in session.gpus], request)
    now = _fingerprint(ctx.settings, folder, session.runtime, size, place)
    if now != session.fingerprint or not workspaces.of(ctx, session).is_there():
        return None
    seen = view(ctx, session, measured=False)
    healthy = all(service.state.value in HEALTHY for service in seen.services)
    return seen if healthy and not seen.note else None


@contextmanager
def _taken_for_nothing(ctx: Context, id: str) -> Iterator[None]:
    """GPUs that were taken for a session go back when it comes to nothing before it is on record with them. What it held
    before it goes on holding: its services still run there."""
    held_before = {each.id for each in ctx.store.held() if each.session == id}
    try:
        yield
    except BaseException:
        from labctl.sessions import gpus

        gpus.give_back(ctx, id, "it was not started", held_before=held_before)
        raise


def _check(prepared: Prepared) -> None:
    problems = prepared.runtime.preflight(prepared.plan)
    if problems:
        raise PreflightError(
            "; ".join(problem.what for problem in problems), _joined(problem.hint for problem in problems)
        )


def _record(ctx: Context, request: UpRequest, prepared: Prepared, progress: Progress) -> tuple[Session, bool]:
    """The session on record as STARTING, and whether its workspace was made."""
    plan, runtime, before = prepared.plan, prepared.runtime, prepared.before
    made = prepared.kept.make(workspaces.starter(Path(plan.lab_path)))
    if plan.notebook:
        notebooks.keep(ctx.settings.home, plan.session, plan.notebook)
    if made and before and before.live and before.handle:  # what still runs stands in a folder that is gone
        runtime.down(before.handle, progress)
    return ctx.store.put(_session(ctx, request, prepared)), made


def _start(ctx: Context, record: tuple[Session, bool], prepared: Prepared, progress: Progress) -> SessionView:
    session, made = record
    expires = iso(session.expires_at) if session.expires_at else None
    try:
        started = prepared.runtime.up(prepared.plan, progress, expires_at=expires)
    except LabctlError as error:
        if isinstance(error, UnhealthyError):  # what ran before has ended
            _give_back_the_rest(ctx, prepared)
        ctx.store.set_state(session, SessionState.FAILED, error.what)
        raise
    _give_back_the_rest(ctx, prepared)
    session = replace(session, state=SessionState.RUNNING, handle=started.handle, fingerprint=prepared.fingerprint)
    ctx.store.put(session)
    changed = dict.fromkeys((*(["workspace"] if made else []), *started.changed))
    return with_changes(view(ctx, session), tuple(changed))


def _give_back_the_rest(ctx: Context, prepared: Prepared) -> None:
    """What the session held before and does not run on any more."""
    if prepared.before and prepared.before.gpus:
        from labctl.sessions import gpus

        held = prepared.plan.allocation.gpus if prepared.plan.allocation else ()
        gpus.give_back(ctx, prepared.plan.session, "it runs on others now" if held else "it runs without now", but=held)


def _session(ctx: Context, request: UpRequest, prepared: Prepared) -> Session:
    """The session as STARTING. What `up` has come to, should it fail or die, the session's folder says: the handle only
    names it.
    """
    plan, before = prepared.plan, prepared.before
    live = before if before and before.live else None
    now = ctx.now()
    keeps_expiry = live is not None and request.ttl_s is None and not live.expired(now)
    expires = live.expires_at if live and keeps_expiry else now + timedelta(seconds=request.ttl_s or DEFAULT_TTL_S)
    held = plan.allocation.gpus if plan.allocation else ()
    return Session(
        id=plan.session,
        lab=plan.lab,
        lab_path=plan.lab_path,
        learner=plan.learner,
        cohort=plan.cohort,
        runtime=prepared.runtime.name,
        profile=plan.profile,
        state=SessionState.STARTING,
        workspace=str(prepared.workspace),
        created_at=live.created_at if live else now,
        expires_at=expires,
        idle_timeout_s=_idle_timeout_s(ctx, request, live),
        handle={"session": plan.session},
        gpus=tuple(asdict(gpu) for gpu in held),
        place=ctx.place,
        claimed_by=before.claimed_by if before else "",  # ended or not, what lies in it is theirs
    )


def _handle(live: Session | None, id: str) -> Handle:
    return live.handle if live and live.handle else {"session": id}


def _idle_timeout_s(ctx: Context, request: UpRequest, live: Session | None) -> float | None:
    if request.idle_timeout_s is not None:
        return None if request.idle_timeout_s == math.inf else request.idle_timeout_s
    return live.idle_timeout_s if live else ctx.settings.idle_timeout_s


def _runtime_name(ctx: Context, request: UpRequest, live: Session | None) -> str:
    if live and request.runtime not in (None, live.runtime):
        raise UsageError(
            f"{live.id} runs on {live.runtime}, not {request.runtime}", f"end it first: `labctl down {live.id}`"
        )
    return live.runtime if live else request.runtime or ctx.settings.runtime


def _places(
    ctx: Context, request: UpRequest, before: Session | None, lab: Lab, runtime: Runtime
) -> tuple[Path, Workspace]:
    """The folder on this host, and where the files are: there, or where the runtime keeps them."""
    id = request.session(lab.id)
    elsewhere = runtime.workspace(_handle(before, id))
    if elsewhere and request.workspace:
        raise UsageError(
            f"--workspace names a folder of this host, and the files are in {elsewhere.where}",
            "leave it out; `labctl cp` copies files in and out",
        )
    folder = _workspace(ctx, request, before, lab.id)
    kept = elsewhere or workspaces.at(runtime, _handle(before, id), folder)
    if kept.folder:
        check_place(ctx, kept.folder, lab.path, id)
    return folder, kept


def _workspace(ctx: Context, request: UpRequest, before: Session | None, lab: str) -> Path:
    if request.workspace is None:
        if before:
            return Path(before.workspace)
        if request.cohort:
            return ctx.settings.workspaces / request.cohort / request.learner / lab
        name = lab if request.learner == ctx.settings.learner else f"{lab}@{request.learner}"
        return ctx.settings.workspaces / name
    chosen = request.workspace.expanduser().resolve()
    if before and before.live and chosen != Path(before.workspace):
        raise UsageError(f"{before.id} already works in {before.workspace}", f"end it first: `labctl down {before.id}`")
    return chosen


def _size(
    ctx: Context, request: UpRequest, live: Session | None, lab: Lab, runtime: Runtime, progress: Progress | None
) -> tuple[ProfileName, Allocation | None]:
    from labctl.sessions import gpus
    from labctl.sessions.profile import choose, without_gpus

    def ask(claim: Claim) -> Allocation | Refused:
        claim = replace(claim, need=request.gpu_need(claim.need))
        if runtime.schedules:
            return gpus.of_engine(runtime, claim.need, insisted=wanted == "gpu")
        if progress is None:
            return gpus.ask(ctx, runtime, claim, lambda _step: None, record=False)
        return gpus.ask(ctx, runtime, claim, progress, wait=request.wait, priority=request.priority)

    wanted = request.profile or (live.profile if live else None) or ctx.settings.profile
    if request.no_gpu:
        return without_gpus(lab, request.profile), None
    return choose(lab, wanted, session=request.session(lab.id), learner=request.learner, ask=ask)


def _size_mark(profile: str, gpus: list[str], request: UpRequest) -> str:
    """The size that runs, on which GPUs (services on one that was exchanged must start again), and with which notebook."""
    notebook = [request.notebook.mark] if request.notebook else []
    return " ".join([f"{profile} without GPUs" if request.no_gpu else profile, *sorted(gpus), *notebook])


def _fingerprint(settings: Settings, folder: Path, runtime: str, size: str, workspace: Path) -> str:
    more = (__version__, *_surroundings(settings), folder_digest(images_folder()), runtime, size, str(workspace))
    return fingerprint(folder, catalog.builtin_folder(), more)


def _surroundings(settings: Settings) -> tuple[str, ...]:
    """Settings that a plan, or what is made of it, depends on."""
    return tuple(map(str, (settings.base_image, settings.registry, settings.models)))


def _joined(hints: Any) -> str:
    return "; ".join(hint for hint in hints if hint)
