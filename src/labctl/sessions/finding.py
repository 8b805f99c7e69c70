"""What `doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`ok` is None for something that is only good to have."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""
