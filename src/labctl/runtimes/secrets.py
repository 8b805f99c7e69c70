"""Passwords and tokens that are made up for one session: kept in its folder for its owner only, never in a plan or the store."""

from __future__ import annotations

import json
import secrets as random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.disk import read_json, write_atomically
from labctl.names import SECRET

if TYPE_CHECKING:
    from labctl.plan import Plan

_FILE = "secrets.json"


def ensure(root: Path, plan: Plan, *more: str) -> Mapping[str, str]:
    """By name, the secrets that `plan` and `more` name: those there are, the missing ones made. `root` is the session's folder."""
    before = read(root)
    known = {**before, **(plan.notebook.secrets if plan.notebook else {})}
    missing = {*_named(plan), *more} - known.keys()
    known |= {name: random.token_urlsafe(24) for name in sorted(missing)}
    if known != before:
        write_atomically(root / _FILE, json.dumps(known))
    return known


def read(root: Path) -> Mapping[str, str]:
    """The session's secrets; none when it has none."""
    return {name: str(value) for name, value in read_json(root / _FILE).items()}


def forget(root: Path) -> None:
    """Delete them. Nothing happens when there are none."""
    (root / _FILE).unlink(missing_ok=True)


def fill(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with every secret in its place; one that does not exist stays named."""
    return SECRET.sub(lambda found: secrets.get(found[1], found[0]), text) if "${" in text else text


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with every secret named instead of told: for messages, which are kept and passed on."""
    for name, value in secrets.items():
        text = text.replace(value, "${LABCTL_SECRET_" + name + "}") if value else text
    return text


def fill_all(values: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The values of an environment, filled."""
    return {name: fill(value, secrets) for name, value in values.items()}


def _named(plan: Plan) -> Iterator[str]:
    texts = [*plan.workspace.environment.values()]
    for service in plan.services:
        texts += [*service.command, *service.environment.values()]
    for text in texts:
        yield from SECRET.findall(text)
