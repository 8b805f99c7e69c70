"""The context that every session function is handed, from the settings in force."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from labctl import settings
from labctl.names import learner_id
from labctl.sessions.context import Context
from labctl.store.store import Store

if TYPE_CHECKING:
    from labctl.runtimes.base import Runtime


def context() -> Context:
    """A context on this machine's settings, store, runtimes and clock."""
    from labctl.runtimes.table import names

    chosen = settings.load()

    @cache
    def runtime(name: str) -> Runtime:
        from labctl.runtimes.table import get

        return get(name, chosen)

    return Context(
        settings=chosen,
        store=Store(chosen),
        runtime=runtime,
        runtimes=names(),
        now=lambda: datetime.now(UTC),
    )


def learner_of(ctx: Context, name: str | None) -> str:
    """The learner's id for `--learner NAME`; the person who types when it is left out."""
    return learner_id(name) if name else ctx.settings.learner
