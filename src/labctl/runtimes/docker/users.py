"""Whom a container's processes are, so that what they write belongs to the learner on the host."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

_FIRST_OWN_UID = 2_000_000_000  # above every range that is handed out for user namespaces
_OWN_UIDS = 100_000_000


def of_session(session: str, workspace: Path, *, rootless: bool) -> str:
    """`uid:gid` in the session's containers.

    A rootless engine runs as the learner, whom its containers see as root. Else it is the workspace's owner; when that is
    root, who hosts many learners, a user that only this session has.
    """
    if rootless:
        return "0:0"
    owner = workspace.stat() if workspace.is_dir() else None
    uid, gid = (owner.st_uid, owner.st_gid) if owner else (os.getuid(), os.getgid())
    if uid != 0:
        return f"{uid}:{gid}"
    own = _FIRST_OWN_UID + zlib.crc32(session.encode()) % _OWN_UIDS
    return f"{own}:{own}"


def give(folder: Path, user: str) -> None:
    """Make `folder` and everything in it the user's, when this process is root and it is not theirs yet.

    Links are changed themselves and never followed, and no name is looked up twice: whoever owns the folder could have put a
    link in its place meanwhile.
    """
    uid, gid = (int(part) for part in user.split(":"))
    if os.geteuid() != 0 or uid == 0 or (folder.is_dir() and folder.stat().st_uid == uid):
        return
    _chown(folder, uid, gid)


def take(folder: Path) -> None:
    """Make `folder` and everything in it this process's, when it is root."""
    if os.geteuid() == 0:
        _chown(folder, 0, 0)


def _chown(folder: Path, uid: int, gid: int) -> None:
    for _root, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, uid, gid, follow_symlinks=False)
