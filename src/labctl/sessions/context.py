"""What every session function is handed: settings, store, runtimes, clock. Nothing here is looked up behind its back."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from labctl import settings
from labctl.settings import Settings
from labctl.store.store import Store

if TYPE_CHECKING:
    from labctl.runtimes.base import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`runtime` makes the runtime with one of the names `runtimes`; `now` is the time in UTC."""

    settings: Settings
    store: Store
    runtime: Callable[[str], Runtime]
    runtimes: tuple[str, ...] = ("local",)
    now: Callable[[], datetime]

    @property
    def place(self) -> str:
        """This host and LABCTL_HOME: who shares the database from elsewhere cannot see our locks, nor we theirs."""
        return f"{socket.gethostname()}:{self.settings.home}"

    def is_here(self, place: str) -> bool:
        """Whether something was recorded from this place; what says nothing is older than places are."""
        return place in ("", self.place)


def here() -> Context:
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
