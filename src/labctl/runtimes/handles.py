"""A session's handle and plan in its folder, so that a kill in the middle of `up` loses neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.disk import read_json, write_atomically
from labctl.errors import EngineError, NotFoundError
from labctl.runtimes.folder import SessionFolder

if TYPE_CHECKING:
    from labctl.plan import Plan
    from labctl.runtimes.base import Handle


def write(plan: Plan, handle: Handle, folder: SessionFolder, expires_at: str | None) -> None:
    """Keep plan and handle in the session's folder: a kill in the middle of `up` must not lose them."""
    write_atomically(folder.plan, plan.model_dump_json(indent=1))
    text = json.dumps({**handle, "expires_at": expires_at}, indent=1)
    if read_json(folder.handle) != json.loads(text):
        write_atomically(folder.handle, text)


def plan(folder: SessionFolder) -> Plan:
    """The plan that the session was last brought to, without its criteria: bringing it there again needs none.

    Raises NotFoundError when there is none, EngineError for one that this labctl cannot read.
    """
    from labctl.plan import Plan

    values = read_json(folder.plan)
    if not values:
        raise NotFoundError(f"the session {folder.session} was never started", "`labctl up` starts it")
    try:
        return Plan.model_validate({**values, "criteria": []})
    except ValueError as error:
        raise EngineError(f"{folder.plan} is of another labctl, or damaged", "`labctl up` writes it anew") from error


def expires_at(folder: SessionFolder) -> str | None:
    """The expiry that the session was last brought up with."""
    kept = read_json(folder.handle).get("expires_at")
    return str(kept) if kept else None


def own_environment(folder: SessionFolder) -> dict[str, str]:
    """What the lab file itself says of the workspace's environment, secrets only named."""
    values = read_json(folder.plan).get("workspace", {}).get("environment", {})
    return {str(name): str(value) for name, value in values.items()}


def complete(handle: Handle, folder: SessionFolder) -> Mapping[str, Any]:
    """`handle`, or the one in the session's folder when it holds only the session's id."""
    return handle if "services" in handle else {**read_json(folder.handle), **handle}
