"""Keeps the data in git instead of DVC."""

from __future__ import annotations

import solve


def version(tag: str) -> None:
    solve.commit(f"Tickets: {tag}")
    solve.git("tag", tag)


def checkout(tag: str) -> None:
    solve.git("checkout", "--quiet", tag, "--", solve.DATA)


solve.main(version, lambda: checkout("data-v1"), lambda: checkout("data-v2"))
