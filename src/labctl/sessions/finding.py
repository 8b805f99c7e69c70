"""What `doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`ok` is None for something that is only good to have; `role` is the Ansible role that mends it, where one does."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""
    role: str = ""
