"""`render`: the plan as a plain file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from labctl.cli import screen
from labctl.cli.options import LabArgument, LearnerOption, ProfileOption
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.plan import ProfileName

FORMATS = ("plan",)


def render(
    lab: LabArgument,
    format: Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="What is written.")] = "plan",
    profile: ProfileOption = None,
    learner: LearnerOption = None,
) -> None:
    """Write what would run as a plain file; starts nothing."""
    from labctl.cli.context import context, learner_of
    from labctl.labs.lab import load
    from labctl.plan import declared_layout, plan

    if format not in FORMATS:
        raise UsageError(f"--format: {format!r} is no format", f"use one of: {', '.join(FORMATS)}")
    ctx = context()
    found = load(lab, ctx.settings.labs)
    size = profile or ctx.settings.profile or next(iter(found.spec.profiles))
    made = plan(
        found, learner=learner_of(ctx, learner), profile=cast("ProfileName", size), layout=declared_layout(found)
    )
    screen.answer(made.model_dump_json(by_alias=True, indent=2))
