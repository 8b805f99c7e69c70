"""`cp`: files between this host and a session's workspace, wherever that is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labctl import packing, tree, unpacking
from labctl.errors import LabctlError, NotFoundError, PreflightError, UsageError
from labctl.sessions import workspace as workspaces
from labctl.sessions.context import Context
from labctl.store.records import Session

_IN_MEMORY = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Where the copy is now (below the workspace, or on this host), and what was left out: links, sockets and the like."""

    where: str
    left_out: tuple[str, ...]


def copy_out(ctx: Context, session: Session, name: str, target: str, *, force: bool) -> Copied:
    """Copy the file or folder `name` of the workspace to `target`, or into it when it is a folder.

    Raises NotFoundError, UsageError (also for a file that is there already, without `force`), PreflightError.
    """
    inside = _inside(name)
    folder, into = (Path(target), "") if Path(target).is_dir() else (Path(target).parent, Path(target).name)
    if into and (target.endswith("/") or not folder.is_dir()):
        raise NotFoundError(f"there is no folder {target if folder.is_dir() else folder}", "make it first")
    with _worded(), tempfile.SpooledTemporaryFile(_IN_MEMORY) as parcel:
        left_out = workspaces.of(ctx, session).pack(inside, parcel)
        parcel.seek(0)
        with tree.opened(folder) as root:
            placed = unpacking.unpack(parcel, root, into, inside.name or session.lab, force=force)
    return Copied(where=str(folder / placed), left_out=_shown(left_out))


def copy_in(ctx: Context, session: Session, source: Path, name: str, *, force: bool) -> Copied:
    """Copy the file or folder `source` to `name` in the workspace, or into it when it is a folder. Raises as `copy_out`."""
    _inside(name)
    real = source.resolve()
    if not real.exists():
        raise NotFoundError(f"there is no {source}", "give a file or a folder of this host")
    with _worded(), tempfile.SpooledTemporaryFile(_IN_MEMORY) as parcel:
        with tree.opened(real.parent) as folder:
            left_out = packing.pack(folder, PurePosixPath(real.name), parcel)
        parcel.seek(0)
        place = workspaces.of(ctx, session)
        placed = place.unpack(parcel, name, source.name or real.name, force=force)
    return Copied(where=str(placed), left_out=_shown(left_out))


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} leads out of the workspace", "give a path relative to the workspace")
    return path


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    """Names that a learner chose, to be shown and not obeyed."""
    return tuple(
        "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name) for name in names
    )


@contextmanager
def _worded() -> Iterator[None]:
    """What cannot be carried, and a place that cannot be written, as errors that name the remedy."""
    try:
        yield
    except packing.Refused as refused:
        raise _error(refused) from refused
    except PermissionError as error:
        raise PreflightError(
            f"{error.filename or 'the place'} cannot be written: {error.strerror}", "choose another"
        ) from error


def _error(refused: packing.Refused) -> LabctlError:
    kind = NotFoundError if refused.why == packing.MISSING else UsageError
    return kind(refused.what, refused.hint)
