"""The context that every session function is handed, from the settings in force."""

from __future__ import annotations

from labctl.names import learner_id
from labctl.sessions.context import Context
from labctl.sessions.context import here as context

__all__ = ["context", "learner_of"]


def learner_of(ctx: Context, name: str | None) -> str:
    """The learner's id for `--learner NAME`; the person who types when it is left out."""
    return learner_id(name) if name else ctx.settings.learner
