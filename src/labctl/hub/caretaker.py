"""What labctl's own rules ask for while a portal is served: what has expired is ended, idle GPUs go back, reserved sessions are
made up for. `python -m labctl.hub.caretaker FILE`, a service of the Hub, which starts it again when it ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from labctl.cohorts import classroom, spec
from labctl.errors import LabctlError, PreflightError
from labctl.sessions.context import Context, here
from labctl.sessions.end import gc

EVERY_S = 60.0


def main(file: str) -> None:
    """Never returns."""
    ctx = here()
    while True:
        for line in round_of(ctx, Path(file)):
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        time.sleep(EVERY_S)


def round_of(ctx: Context, file: Path) -> list[str]:
    """Look after everything once; what was done, or could not be, a line each. Whatever goes wrong keeps nothing else back."""
    return [*_done(lambda: _ended(ctx)), *_done(lambda: _made_up(ctx, file))]


def _ended(ctx: Context) -> list[str]:
    found = gc(ctx, lambda _step: None)
    return [f"{each.session}: {each.why}{each.problem and f': {each.problem}'}" for each in found]


def _made_up(ctx: Context, file: Path) -> list[str]:
    """Start reserved sessions where some are missing; none while the cohort is closed."""
    cohort = spec.load(file, ctx.settings.labs).spec
    missing = classroom.spares(ctx, cohort)
    if not missing:
        return []
    try:
        done = classroom.start(
            ctx, cohort, missing, _profiles(cohort), lambda _step: None, lambda _done: None, at_once=2
        )
    except PreflightError:  # before the window opens, and after it has closed
        return []
    return [f"{each.seat.session}: {each.problem or each.words}" for each in done]


def _profiles(cohort: spec.Cohort) -> dict[str, str]:
    return dict.fromkeys(cohort.labs, cohort.profile) if cohort.profile else {}


def _done(work: Callable[[], list[str]]) -> list[str]:
    try:
        return work()
    except (LabctlError, OSError) as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    main(sys.argv[1])
