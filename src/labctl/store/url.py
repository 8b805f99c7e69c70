"""Which database: SQLite in LABCTL_HOME unless LABCTL_DATABASE_URL says otherwise."""

from __future__ import annotations

from pathlib import Path

from labctl.settings import Settings

_SQLITE = "sqlite:///"


def database_url(settings: Settings) -> str:
    return settings.database_url or f"{_SQLITE}{settings.home / 'labctl.db'}"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for any other database."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None
