"""What everything that a session has in a cluster is called and bears. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from labctl.runtimes.docker.labels import COHORT, EXPIRES, HOME, LAB, LEARNER, ROLE, SERVICE, SESSION

if TYPE_CHECKING:
    from labctl.plan import Plan

MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
PART_OF = "app.kubernetes.io/part-of"
OURS = "labctl"
ENDED = "labctl.ended"
"""On a namespace in which nothing runs any more: it holds what the learner wrote."""
_MAX_NAME = 63


def namespace(session: str, home: str = "") -> str:
    """The namespace of a session. `home` tells apart people who share a cluster; "" in a file that is nobody's session.

    >>> namespace("stage2-finetune--ada"), namespace("stage2-finetune--ada", "0123456789ab")
    ('stage2-finetune--ada', 'stage2-finetune--ada-012345')
    """
    name = f"{session}-{home[:6]}" if home else session
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 9]}-{zlib.crc32(name.encode()):08x}"


def of_session(session: str, home: str) -> dict[str, str]:
    """What tells this session's things from all others."""
    return {MANAGED_BY: OURS, SESSION: session, **({HOME: home} if home else {})}


def of_plan(plan: Plan, home: str) -> dict[str, str]:
    """What a session's things say of it; when it expires is an annotation, since a label's value has no colon."""
    more = {LAB: plan.lab, LEARNER: plan.learner, COHORT: plan.cohort or ""}
    return {**of_session(plan.session, home), **{name: value for name, value in more.items() if value}}


def of_part(name: str, role: str) -> dict[str, str]:
    """What a pod bears besides, and what a Service finds it by."""
    return {NAME: name, SERVICE: name, ROLE: role}


def notes(expires_at: str | None) -> dict[str, str]:
    """What the namespace says of its end."""
    return {EXPIRES: expires_at} if expires_at else {}
