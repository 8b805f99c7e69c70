"""What the engine and the probes say, as the state of a service with a reason that tells what to do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from labctl.images.engine import is_present
from labctl.runtimes.base import ServiceState, State
from labctl.runtimes.docker import networks
from labctl.runtimes.docker.bringing import words_of_end
from labctl.runtimes.docker.containers import Seen
from labctl.runtimes.docker.parts import INGRESS_NAME
from labctl.runtimes.docker.session import Session

_SHOWN_CHARS = 200  # the end of what runc says is what matters


def states(session: Session, *, probe: bool) -> list[ServiceState]:
    """Each service as it is now, in the plan's order, then the workspace. `probe` asks the health checks too."""
    session.refresh()
    whole = {network["Id"] for network in networks.find(session.client, session.marks)}
    names = list(session.handle.get("services", {}))
    published = session.published()
    complaints = _complaints(session, names) if probe and names else {}
    found = [_state(session, name, complaints.get(name, ""), published, whole) for name in names]
    return _with_image_of_checks(session, found) if probe else found


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


def _with_image_of_checks(session: Session, found: list[ServiceState]) -> list[ServiceState]:
    """Containers live on without their image; the container of a check could not be made."""
    check = session.handle.get("check")
    if not found or check is None or is_present(session.client, check["image"]):
        return found
    last = found[-1]
    reason = last.reason or f"the engine has lost the image {check['image']}"
    return [*found[:-1], replace(last, state=State.FAILED, reason=reason)]


def _state(
    session: Session, name: str, complaint: str, published: dict[tuple[str, str], int], whole: set[str]
) -> ServiceState:
    seen = session.container(name)
    state, reason = _judge(session, name, seen, complaint)
    if seen and seen.status == "running" and not whole & seen.networks:
        state, reason = State.FAILED, "it is cut off from the session's network"
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
    is_done = seen.status == "exited" and seen.exit_code == 0 and not seen.oom_killed
    if is_done and session.handle["services"][name]["is_job"]:
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
