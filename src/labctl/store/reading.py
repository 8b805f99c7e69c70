"""Reading a SQLite file with the standard library alone. Nothing is written, not even where nothing may be written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labctl.errors import EngineError
from labctl.store import version

_BUSY_S = 30


def rows(path: Path, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries; none when there is no database yet.

    Raises EngineError for a damaged one, Outdated for one whose tables are older than the query.
    """
    if not path.exists():
        return []
    try:
        with closing(_connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            found = int(connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0])
            version.check(found)
            if found < version.VERSION:
                raise version.Outdated
            return [dict(row) for row in connection.execute(query, dict(values))]
    except sqlite3.OperationalError as error:
        if "no such table: meta" in str(error):  # an interrupted first run
            return []
        raise EngineError(f"the database {path} cannot be read: {error}", remedy(path, str(error))) from error
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise EngineError(f"the database {path} cannot be read: {error}", remedy(path, str(error))) from error


def _connect(path: Path) -> sqlite3.Connection:
    """In a folder that cannot be written SQLite cannot make its lock files; nobody writes there, so it needs none."""
    mode = "mode=ro" if os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=_BUSY_S)


def remedy(path: Path, error: str) -> str:
    """What mends an error of the database. It is moved aside only when it is damaged: it holds who has which GPU."""
    if "locked" in error or "busy" in error:
        return f"another program has it in hand: the same command again; `fuser {path}` shows who"
    if "readonly" in error or not os.access(path, os.R_OK):
        return "mend its permissions and its folder's"
    return "move it aside and run the command again; sessions are found again by `labctl gc`"
