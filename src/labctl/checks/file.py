"""`file`: what lies in the workspace."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from labctl.checks.base import END, BaseCheck, Unmet, WorkspacePath
from labctl.checks.documents import read_text, read_whole
from labctl.checks.match import Match
from labctl.checks.notebook import read_code
from labctl.outcomes import CheckResult
from labctl.target import FileInfo, Target

_PYTHON, _NOTEBOOK = ".py", ".ipynb"


class FileCheck(BaseCheck):
    """A file or folder of the workspace, or all that a glob matches: there or not, its size, text and digest."""

    kind: Literal["file"] = "file"
    path: WorkspacePath
    """A path or a glob; of several matches, each must be as wanted."""
    exists: bool = True
    """false: nothing may be there, not even a link that leads nowhere."""
    count: Match | None = None
    """How many paths a glob must match."""
    text: Match | None = None
    """What the text of a file must be (UTF-8, at most 64 MiB)."""
    min_bytes: int | None = Field(default=None, ge=0)
    """The least size of a file."""
    max_bytes: int | None = Field(default=None, ge=0)
    """The greatest size of a file."""
    unchanged: str | None = Field(default=None, pattern=r"^([0-9a-f]{64}|.*\{\{.*)" + END)
    """The sha256, in hexadecimal, that the file must still have."""
    notebook: bool = False
    """For a .py file: where there is none, the code cells of the notebook of that name (.ipynb) count as its text."""

    @model_validator(mode="after")
    def _absence_has_no_contents(self) -> FileCheck:
        described = self.model_fields_set & {"count", "text", "min_bytes", "max_bytes", "unchanged"}
        if not self.exists and described:
            raise ValueError(f"with exists: false, {', '.join(sorted(described))} can never hold")
        return self

    @model_validator(mode="after")
    def _notebook_stands_for_python(self) -> FileCheck:
        if self.notebook and "{{" not in self.path and not self.path.endswith(_PYTHON):
            raise ValueError(f"with notebook: true the path must end with {_PYTHON}, not be {self.path!r}")
        if self.notebook and self.unchanged:
            raise ValueError("unchanged is about the bytes of a file; a notebook has others")
        return self

    def look(self, target: Target) -> CheckResult:
        there = self._there(target)
        found = there if not self.exists else [info for info in there if info.readable]
        names = [info.path for info in found]
        if not self.exists:
            text = f"{self.path} is there" if found else f"{self.path} is not there"
            return self.failed(f"{text}; wanted none", actual=names) if found else self.passed(text)
        if not found:
            raise Unmet(f"{self.path} is no file of the workspace" if there else f"there is no {self.path}")
        unmet = [f"{self.path}: {text} matches" for text in (self.count.unmet(len(found)) if self.count else [])]
        unmet += [f"{info.path}: {text}" for info in found for text in self._unmet(target, info)]
        if unmet:
            return self.failed(f"wanted {'; '.join(unmet[:5])}", expected=unmet, actual=names)
        return self.passed(f"{self.path} is there" + (f", {len(found)} times" if len(found) > 1 else ""), actual=names)

    def _there(self, target: Target) -> list[FileInfo]:
        """What the path or glob matches; or else, where notebooks will do, what it matches as one."""
        found = _found(target, self.path)
        if found or not self.notebook:
            return found
        return _found(target, f"{self.path.removesuffix(_PYTHON)}{_NOTEBOOK}")

    def _unmet(self, target: Target, info: FileInfo) -> list[str]:
        unmet = []
        code = read_code(target, info.path) if self.notebook and info.path.endswith(_NOTEBOOK) else None
        size = info.size_bytes if code is None else len(code.encode("utf-8", "replace"))
        if self.min_bytes is not None and size < self.min_bytes:
            unmet.append(f"at least {self.min_bytes} bytes, not {size}")
        if self.max_bytes is not None and size > self.max_bytes:
            unmet.append(f"at most {self.max_bytes} bytes, not {size}")
        if self.text is not None:
            text = read_text(target, info.path) if code is None else code
            unmet += [f"text {wish}" for wish in self.text.unmet(text)]
        if self.unchanged and hashlib.sha256(read_whole(target, info.path)).hexdigest() != self.unchanged:
            unmet.append("the file as it came with the lab; it was changed")
        return unmet


def _found(target: Target, path: str) -> list[FileInfo]:
    if not path.startswith("/"):
        return target.find(path)
    try:  # what labctl provided is read by its absolute path; globs belong to the workspace
        return [FileInfo(path=path, is_dir=False, size_bytes=len(target.read(path)))]
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        return [FileInfo(path=path, is_dir=True, size_bytes=0)]
