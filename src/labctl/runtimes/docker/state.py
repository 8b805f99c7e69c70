"""What the engine and the probes say, as the state of a service with a reason that tells what to do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from labctl.runtimes.base import ServiceState, State
from labctl.runtimes.docker.bringing import words_of_end
from labctl.runtimes.docker.containers import Seen
from labctl.runtimes.docker.parts import INGRESS_NAME
from labctl.runtimes.docker.session import Session

_SHOWN_CHARS = 200  # the end of what runc says is what matters


def states(session: Session, *, probe: bool) -> list[ServiceState]:
    """Each service as it is now, in the plan's order, then the workspace. `probe` asks the health checks too."""
    session.refresh()
    names = list(session.handle.get("services", {}))
    published = session.published()
    complaints = _complaints(session, names) if probe and names else {}
    return [_state(session, name, complaints.get(name, ""), published) for name in names]


def words(session: Session, part: str) -> str:
    """In a sentence, whether the container of a part runs."""
    seen = session.look(part)
    state, reason = _judge(session, part, seen, "")
    return "its container runs" if state is State.RUNNING else f"its container does not run ({reason or state})"


def _complaints(session: Session, names: list[str]) -> dict[str, str]:
    if len(names) == 1:
        return {names[0]: session.complaint(names[0])}
    with ThreadPoolExecutor(min(16, len(names))) as pool:
        return dict(zip(names, pool.map(session.complaint, names), strict=True))


def _state(session: Session, name: str, complaint: str, published: dict[tuple[str, str], int]) -> ServiceState:
    state, reason = _judge(session, name, session.container(name), complaint)
    ports = {
        port: published[name, port] for port in session.handle["services"][name]["ports"] if (name, port) in published
    }
    first = next(iter(ports.values()), None)
    if state is State.RUNNING and not ports and session.handle["services"][name]["ports"]:
        state, reason = State.FAILED, f"the session's {INGRESS_NAME} does not run"
    return ServiceState(
        name=name, state=state, url=f"http://127.0.0.1:{first}" if first else None, ports=ports, reason=reason
    )


def _judge(session: Session, name: str, seen: Seen | None, complaint: str) -> tuple[State, str]:
    if seen is None:
        return State.STOPPED, "its container is gone"
    if seen.status == "running":
        return _running(session, name, seen, complaint)
    if seen.status == "created":
        return State.STOPPED, f"it was not started{seen.error and ': ' + seen.error[-_SHOWN_CHARS:]}"
    if seen.status == "exited" and seen.exit_code == 0 and not seen.oom_killed:
        return State.EXITED, ""
    if seen.status == "paused":
        return State.FAILED, "somebody paused its container"
    said = next(iter(session.last_lines(name, 1)), "")
    again = ", and is tried again" if seen.status == "restarting" else ""
    return State.FAILED, f"it {words_of_end(seen)}{again}{said and '; it said: ' + said}"


def _running(session: Session, name: str, seen: Seen, complaint: str) -> tuple[State, str]:
    if not complaint:
        return State.RUNNING, ""
    check = session.handle["services"][name]["healthcheck"]
    state = State.STARTING if session.may_still_come(seen, float(check["timeout"])) else State.UNHEALTHY
    return state, complaint
