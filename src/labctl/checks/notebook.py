"""`notebook`: a Jupyter notebook that was run from top to bottom, and can be again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from labctl.checks.base import BaseCheck, Duration, Unmet, WorkspacePath
from labctl.checks.documents import brief, read_json
from labctl.checks.match import Match
from labctl.checks.probe import StillRunning, run_probe
from labctl.outcomes import CheckResult
from labctl.target import Target

MAX_SHOWN = 200


class NotebookCheck(BaseCheck):
    """A Jupyter notebook executed from top to bottom without errors; with `rerun`, executed once more to see it."""

    computes: ClassVar[bool] = True
    kind: Literal["notebook"] = "notebook"
    timeout: Duration = 120.0
    """Seconds for all of it, a rerun included."""
    path: WorkspacePath
    """The .ipynb file, format 4, at most 16 MiB."""
    outputs: list[Match] = []
    """What the text of all outputs, joined, must be: each of these; of a rerun's outputs too."""
    rerun: bool = False
    """Execute a copy of it in its folder, in a fresh kernel of the session: it must end without an error."""

    @model_validator(mode="after")
    def _is_a_notebook(self) -> NotebookCheck:
        if "{{" not in self.path and not self.path.endswith(".ipynb"):
            raise ValueError(f"{self.path!r} is no notebook; its name ends with .ipynb")
        return self

    def look(self, target: Target) -> CheckResult:
        cells = [cell for cell in read_cells(target, self.path) if cell.is_code and cell.source.strip()]
        if not cells:
            raise Unmet(f"{self.path} has no cell with code")
        unmet = [*_not_executed(cells), *self._outputs_unmet(cells, "its outputs")]
        seen: dict[str, Any] = {"cells": len(cells), "outputs": _text(cells)[-800:]}
        if not unmet and self.rerun:
            again = self._rerun(target)
            seen["rerun"] = _text(again)[-800:]
            unmet = self._outputs_unmet(again, "the outputs when it is executed again")
        if unmet:
            return self.failed(f"{self.path}: {'; '.join(unmet)}", expected=unmet, actual=seen)
        done = "was executed top to bottom" + (", and again just now" if self.rerun else "")
        return self.passed(f"{self.path}: {len(cells)} cells with code; it {done}", actual=seen)

    def _outputs_unmet(self, cells: Sequence[Cell], what: str) -> list[str]:
        text = _text(cells)
        unmet = [wish for match in self.outputs for wish in match.unmet(text)]
        return [f"{what} are {text[-MAX_SHOWN:]!r}; wanted {' and '.join(unmet)}"] if unmet else []

    def _rerun(self, target: Target) -> list[Cell]:
        try:
            seen = run_probe(target, self.kind, {"path": self.path, "timeout_s": self.timeout}, timeout_s=self.timeout)
        except StillRunning:
            raise Unmet(f"{self.path}, executed again, was still running after {self.timeout:g}s") from None
        again = f"{self.path}, executed again"
        return [_cell(cell, number, f"{again}, cell {number}") for number, cell in enumerate(seen["cells"], start=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell. `number` counts all cells from 1; `count` is In[count], None when it was not executed."""

    number: int
    is_code: bool
    source: str
    count: int | None
    error: str
    """What went wrong in it, or ""."""
    text: str
    """The text of its outputs."""


def read_cells(target: Target, path: str) -> list[Cell]:
    """The cells of a notebook in the workspace. Unmet for anything else."""
    notebook = read_json(target, path)
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if version != 4 or not isinstance(notebook.get("cells"), list):
        raise Unmet(f"{path} is no Jupyter notebook of format 4")
    return [_cell(cell, number, f"{path}, cell {number}") for number, cell in enumerate(notebook["cells"], start=1)]


def read_code(target: Target, path: str) -> str:
    """The code cells of a notebook, joined as one text."""
    return "\n\n".join(cell.source for cell in read_cells(target, path) if cell.is_code)


def _cell(cell: Any, number: int, place: str) -> Cell:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise Unmet(f"{place} is {brief(cell)}, which is no cell")
    count, outputs = cell.get("execution_count"), cell.get("outputs", [])
    is_code = cell["cell_type"] == "code"
    if is_code and not (isinstance(outputs, list) and all(isinstance(output, dict) for output in outputs)):
        raise Unmet(f"{place}: its outputs are {brief(outputs)}; wanted a list of objects")
    return Cell(
        number=number,
        is_code=is_code,
        source=_joined(cell.get("source", ""), place),
        count=count if isinstance(count, int) and not isinstance(count, bool) else None,
        error=next((_error(output) for output in outputs if output.get("output_type") == "error"), "")
        if is_code
        else "",
        text="".join(_shown(output, place) for output in outputs) if is_code else "",
    )


def _joined(value: Any, place: str) -> str:
    """A text of a notebook, which is one string or a list of lines."""
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise Unmet(f"{place}: {brief(value)} is no text")
    return "".join(lines)


def _error(output: Mapping[str, Any]) -> str:
    return f"{output.get('ename') or 'an error'}: {output.get('evalue') or ''}".strip(": ")[:MAX_SHOWN]


def _shown(output: Mapping[str, Any], place: str) -> str:
    """What one output says as plain text: a stream, or a value as it is shown."""
    if output.get("output_type") == "stream":
        return _joined(output.get("text", ""), place)
    data = output.get("data")
    text = _joined(data.get("text/plain", ""), place) if isinstance(data, dict) else ""
    return f"{text}\n" if text else ""


def _text(cells: Sequence[Cell]) -> str:
    return "".join(cell.text for cell in cells)


def _not_executed(cells: Sequence[Cell]) -> list[str]:
    """How a notebook differs from one that a fresh kernel executed from the first cell to the last; the first reason."""
    for position, cell in enumerate(cells, start=1):
        if cell.error:
            return [f"cell {cell.number} ended with {cell.error}"]
        if cell.count is None:
            return [f"cell {cell.number} was not executed"]
        if cell.count != position:
            order = f"cell {cell.number} is In[{cell.count}]; wanted In[{position}]"
            return [f"{order}: restart the kernel, run all cells from top to bottom, and save"]
    return []
