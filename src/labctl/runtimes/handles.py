"""A session's handle and plan in its folder, so that a kill in the middle of `up` loses neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.disk import read_json, write_atomically
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


def complete(handle: Handle, folder: SessionFolder) -> Mapping[str, Any]:
    """`handle`, or the one in the session's folder when it holds only the session's id."""
    return handle if "services" in handle else {**read_json(folder.handle), **handle}
