"""A notebook executed from top to bottom in a fresh kernel; its file stays as it is. Runs in `frame`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


class Unmet(Exception):
    """What the learner made cannot be used."""


def look(arguments: dict[str, Any]) -> dict[str, Any]:
    """{"cells"}: the notebook's cells with the outputs they have now."""
    import nbformat  # type: ignore[import-not-found]
    from nbclient import NotebookClient  # type: ignore[import-not-found]
    from nbclient.exceptions import CellExecutionError, DeadKernelError  # type: ignore[import-not-found]

    path = Path(arguments["path"])
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:
        raise Unmet(f"{path} cannot be read as a notebook: {error}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory(prefix="labctl-notebook-") as folder:
        os.environ.update(
            JUPYTER_RUNTIME_DIR=folder,
            IPYTHONDIR=folder,  # no start-up files of the learner's
            JUPYTER_PREFER_ENV_PATH="1",
            PYTHONDONTWRITEBYTECODE="1",
        )
        client = NotebookClient(
            notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(path.parent.resolve())}}
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise Unmet(f"{path}, executed again: {error.ename}: {error.evalue}") from error
        except DeadKernelError as error:
            raise Unmet(f"{path}, executed again: its kernel died") from error
    return {"cells": notebook.cells}
