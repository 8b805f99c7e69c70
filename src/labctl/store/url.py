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


def engine_url(url: str) -> str:
    """`url` as SQLAlchemy wants it: PostgreSQL is spoken to by psycopg, whichever of its usual names the URL begins with."""
    scheme, mark, rest = url.partition("://")
    return f"postgresql+psycopg{mark}{rest}" if scheme in ("postgres", "postgresql") else url
