"""The JupyterLab that a portal has asked of a session: kept beside it, so that every later `up` leaves it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.disk import read_json, write_atomically

if TYPE_CHECKING:
    from labctl.notebook import Notebook


def keep(home: Path, session: str, notebook: Notebook) -> None:
    """Remember it for as long as the session lives, without its secrets: the session's own file has those."""
    file = _file(home, session)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(file, json.dumps(notebook.model_dump()))


def kept(home: Path, session: str) -> Notebook | None:
    """What is remembered of the session's; None when it has none, or when what is there is damaged."""
    values = read_json(_file(home, session))
    if not values:
        return None
    from labctl.notebook import Notebook

    try:
        return Notebook.model_validate(values)
    except ValueError:
        return None


def forget(home: Path, session: str) -> None:
    """The session is to have none any more."""
    _file(home, session).unlink(missing_ok=True)


def _file(home: Path, session: str) -> Path:
    return home / "sessions" / session / "notebook.json"
