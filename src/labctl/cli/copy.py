"""`cp`: files in and out of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import screen
from labctl.cli.options import Json, LearnerOption, Quiet
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.sessions.copying import Copied


def cp(
    source: Annotated[str, typer.Argument(metavar="SRC", help="LAB:PATH in a workspace, or a path of this host.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The other one of the two.")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that are there already.")] = False,
    learner: LearnerOption = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy a file or a folder out of a workspace, or into it.

    `labctl cp LAB:PATH DST` copies out, `labctl cp SRC LAB:PATH` in.
    It goes into DST when that is a folder, and is called DST otherwise. A folder is laid over one that is there. Links are
    left out. A path of this host with a colon in it begins with ./ or /.
    """
    from labctl.cli.context import context, learner_of
    from labctl.sessions.copying import copy_in, copy_out
    from labctl.sessions.find import find
    from labctl.sessions.presence import touch

    lab, inside, outside = _sides(source, target)
    ctx = context()
    session = find(ctx, lab, learner_of(ctx, learner) if learner else None)
    touch(ctx.settings.home, session.id)
    if _split(source):
        done = copy_out(ctx, session, inside, outside, force=force)
    else:
        done = copy_in(ctx, session, Path(outside), inside, force=force)
    where = done.where if _split(source) else f"{lab}:{done.where}"
    _say(done, session.id, where, json=json, quiet=quiet)


def _sides(source: str, target: str) -> tuple[str, str, str]:
    """The lab, the path in its workspace, the path of this host. Raises UsageError unless one side is each."""
    one, other = _split(source), _split(target)
    if one and other:
        raise UsageError("both SRC and DST are in a workspace", "copy to this host first: `labctl cp LAB:PATH .`")
    if not one and not other:
        raise UsageError(
            f"neither {source!r} nor {target!r} is in a workspace", "labctl cp LAB:PATH . or labctl cp FILE LAB:"
        )
    lab, inside = one or other or ("", "")
    return lab, inside, target if one else source


def _split(side: str) -> tuple[str, str] | None:
    """LAB and PATH of `LAB:PATH`; None for a path of this host.

    >>> _split("lab:out/a:b"), _split("./lab:out"), _split("notes.md"), _split("lab:")
    (('lab', 'out/a:b'), None, None, ('lab', ''))
    """
    lab, colon, path = side.partition(":")
    return (lab, path) if colon and lab and "/" not in lab and not lab.startswith(".") else None


def _say(done: Copied, session: str, where: str, *, json: bool, quiet: bool) -> None:
    if json:
        screen.answer_json({"session": session, "copy": where, "left_out": list(done.left_out)})
        return
    screen.answer(where)
    if done.left_out and not quiet:
        screen.hint(f"left out, being links or no files: {', '.join(done.left_out)}")
