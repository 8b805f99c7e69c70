"""What everything that a session has on the engine bears: by these labels it is found again, never by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.plan import Plan

HOME = "labctl.home"
"""Whose session it is: a hash of LABCTL_HOME, since several people may share an engine."""
SESSION = "labctl.session"
LAB = "labctl.lab"
LEARNER = "labctl.learner"
COHORT = "labctl.cohort"
EXPIRES = "labctl.expires"
ROLE = "labctl.role"
"""service, workspace, ingress, check, build or job."""
SERVICE = "labctl.service"
DIGEST = "labctl.digest"
"""Changes when anything changes that the container was made from."""
SHARED = "labctl.shared"
"""Marks the one network of a LABCTL_HOME that the ingresses of its sessions publish their ports on."""


def home_id(home: Path) -> str:
    """The value of HOME."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:12]


def of_session(home: Path, session: str) -> dict[str, str]:
    """What tells this session's things from all others."""
    return {HOME: home_id(home), SESSION: session}


def of_plan(home: Path, plan: Plan, expires_at: str | None) -> dict[str, str]:
    """What a session's things say of it. Another expiry is no reason to make one anew: it is told to the store."""
    more = {LAB: plan.lab, LEARNER: plan.learner, COHORT: plan.cohort or "", EXPIRES: expires_at or ""}
    return {**of_session(home, plan.session), **{name: value for name, value in more.items() if value}}


def matching(labels: Mapping[str, str]) -> dict[str, list[str]]:
    """A filter for the engine's lists."""
    return {"label": [f"{name}={value}" for name, value in labels.items()]}
