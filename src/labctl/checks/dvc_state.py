"""`dvc_state`: data that DVC keeps versions of."""

from __future__ import annotations

import glob
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from labctl.checks.answers import parse_yaml as parse_yaml
from labctl.checks.base import BaseCheck, Duration, Unmet, WorkspacePath
from labctl.checks.documents import brief, parse_json, read_text, read_whole
from labctl.checks.history import texts_in_history
from labctl.checks.match import Match
from labctl.outcomes import CheckResult
from labctl.target import RefusedPath, Target

MAX_DATA_BYTES = 256 * 1024 * 1024
MAX_RECORD_BYTES = 256 * 1024
MAX_FILES = 10_000
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class DvcStateCheck(BaseCheck):
    """A file or folder that DVC 3 tracks: the data is what is recorded, it was pushed, and old versions can be restored."""

    kind: Literal["dvc_state"] = "dvc_state"
    timeout: Duration = 60.0
    """Seconds for all of it."""
    path: WorkspacePath
    """The data, for example data/train.csv (a file of at most 256 MiB): tracked by PATH.dvc, or as an output in a dvc.lock."""
    clean: bool = True
    """The data in the workspace is the one that is recorded."""
    current: Match | None = None
    """What the recorded md5 must be, as DVC writes it: 32 hexadecimal digits, and `.dir` after those of a folder."""
    pushed_to: WorkspacePath | None = None
    """A folder that is a DVC remote, relative to the workspace: it holds what is recorded."""
    versions: int = Field(default=0, ge=0, le=100)
    """How many different versions the git history records, each of them whole in the remote's folder or in DVC's cache."""

    def look(self, target: Target) -> CheckResult:
        record, md5 = _recorded(target, self.path)
        seen: dict[str, Any] = {"recorded_in": record, "md5": md5}
        unmet = self._clean_unmet(target, record, md5) if self.clean else []
        if self.current is not None:
            unmet += [f"{record} records the version {md5}; wanted {wish}" for wish in self.current.unmet(md5)]
        if self.pushed_to is not None and (lacking := _lacking(target, [self.pushed_to], md5)):
            unmet.append(f"the remote {self.pushed_to} lacks {lacking}; `dvc push` brings it there")
        if self.versions:
            good, bad = self._versions(target, record)
            seen["versions"] = good
            if len(good) < self.versions:
                found = f"the git history has {len(good)} versions of {self.path} that can be restored"
                unmet.append(f"{found}; wanted {self.versions}{''.join(f'; {why}' for why in bad[:2])}")
        if unmet:
            return self.failed("; ".join(unmet), expected=unmet, actual=seen)
        more = f", the history holds {len(seen['versions'])} versions" if self.versions else ""
        return self.passed(f"{self.path} is tracked by DVC as {md5[:10]}…{more}", actual=seen)

    def _clean_unmet(self, target: Target, record: str, md5: str) -> list[str]:
        data = _digest(target, self.path)
        if data == md5:
            return []
        if data is None:
            return [f"{self.path} is not there; `dvc checkout` brings it back"]
        return [f"{self.path} has the md5 {data}, but {record} records {md5}"]

    def _versions(self, target: Target, record: str) -> tuple[list[str], list[str]]:
        """Versions in the git history, the newest first, that are whole somewhere; and why others are not."""
        stores = [*([self.pushed_to] if self.pushed_to else []), *_caches(target, self.path)]
        texts = texts_in_history(target, record, timeout_s=self.timeout)
        recorded = (_md5_in(text, record, self.path) for text in texts)
        good, bad = [], []
        for md5 in dict.fromkeys(md5 for md5 in recorded if md5):
            lacking = _lacking(target, stores, md5)
            good += [] if lacking else [md5]
            bad += [f"of the version {md5[:10]}… {lacking} is nowhere"] if lacking else []
        return good, bad


def _recorded(target: Target, path: str) -> tuple[str, str]:
    """The file that records this data, and the md5 in it."""
    for record in (f"{path}.dvc", *(posixpath.join(folder, "dvc.lock") for folder in _folders(path))):
        text = read_text(target, record, MAX_RECORD_BYTES) if _is_there(target, record) else None
        md5 = _md5_in(text, record, path) if text is not None else None
        if md5:
            return record, md5
        if text is not None and record.endswith(".dvc"):
            raise Unmet(f"{record} records no md5 of {path}, as DVC 3 writes it")
    raise Unmet(f"DVC does not track {path}: there is no {path}.dvc, and no dvc.lock that names it")


def _md5_in(text: str, record: str, path: str) -> str | None:
    """The md5 of `path` in the text of a .dvc file or a dvc.lock; None when it is not recorded there."""
    try:
        document = parse_yaml(text, record)
    except Unmet:
        return None
    stages = [document] if record.endswith(".dvc") else _values(_get(document, "stages"))
    for stage in stages:
        folder = posixpath.join(posixpath.dirname(record), str(_get(stage, "wdir") or "."))
        for out in _values(_get(stage, "outs")):
            is_it = posixpath.normpath(posixpath.join(folder, str(_get(out, "path")))) == posixpath.normpath(path)
            md5 = _get(out, "md5")
            # DVC 2 recorded no `hash`, and hashed texts with other line ends.
            if is_it and _get(out, "hash") == "md5" and isinstance(md5, str) and _MD5.fullmatch(md5):
                return md5
    return None


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _folders(path: str) -> Iterator[str]:
    """The folders that hold `path`, the innermost first, the workspace ("") last."""
    while path:
        path = posixpath.dirname(path)
        yield path


def _caches(target: Target, path: str) -> list[str]:
    """DVC's own cache in the repository that holds `path`."""
    folders = [posixpath.join(folder, ".dvc") for folder in _folders(path)]
    return [f"{folder}/cache" for folder in folders if _is_there(target, f"{folder}/config")]


def _is_there(target: Target, path: str) -> bool:
    try:
        target.read(path, max_bytes=0)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        return True
    return True


def _digest(target: Target, path: str) -> str | None:
    """The md5 that DVC gives a file or a folder of the workspace; None when there is none.

    A folder's is that of its list of files, as DVC writes it (dvc_data.hashfile.tree: sorted, one JSON text).
    """
    try:
        target.read(path, max_bytes=0)
        return _md5(read_whole(target, path, MAX_DATA_BYTES))
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        found = [info for info in target.find(f"{glob.escape(path)}/**/*") if not info.is_dir]
    files = {posixpath.relpath(info.path, path): info.path for info in found}
    entries = [
        {"md5": _md5(read_whole(target, files[name], MAX_DATA_BYTES)), "relpath": name} for name in sorted(files)
    ]
    return f"{_md5(json.dumps(entries, sort_keys=True).encode())}.dir"


def _lacking(target: Target, stores: Sequence[str], md5: str) -> str:
    """What of a version is in none of the stores, with its right content; "" when it is whole."""
    data = _stored(target, stores, md5)
    if data is None:
        return f"the object {md5}"
    if not md5.endswith(".dir"):
        return ""
    entries = parse_json(data, f"the object {md5}")
    if not isinstance(entries, list) or len(entries) > MAX_FILES:
        raise Unmet(f"the object {md5} is {brief(entries)}; wanted a list of at most {MAX_FILES} files")
    for entry in entries:
        part = _get(entry, "md5")
        if not isinstance(part, str) or not _MD5.fullmatch(part) or _stored(target, stores, part) is None:
            return f"the object {brief(part)} of {brief(_get(entry, 'relpath'))}"
    return ""


def _stored(target: Target, stores: Sequence[str], md5: str) -> bytes | None:
    """The object in the first of the stores that has it whole; DVC 3 keeps it as files/md5/ab/cdef…"""
    for store in stores:
        try:
            data = read_whole(target, f"{store}/files/md5/{md5[:2]}/{md5[2:]}", MAX_DATA_BYTES)
        except (Unmet, RefusedPath):
            continue
        if _md5(data) == md5.removesuffix(".dir"):
            return data
    return None


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
