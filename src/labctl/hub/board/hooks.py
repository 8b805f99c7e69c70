"""The webhooks of a class: from its file, and from the one that LABCTL_HUB_WEBHOOKS names."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labctl.checks.base import Model
from labctl.cohorts.spec import CohortFile
from labctl.cohorts.webhook import Webhook
from labctl.errors import LabFileError
from labctl.labs.lab import validate
from labctl.labs.source import read_source

SETTING = "LABCTL_HUB_WEBHOOKS"
MIN_SECRET_CHARS = 16
_STANDARD = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """An address, what it is told of, and what is signed with."""

    url: str
    events: tuple[str, ...]
    secret: bytes = field(repr=False)


class Webhooks(Model):
    """What the file of LABCTL_HUB_WEBHOOKS holds."""

    webhooks: list[Webhook]


def hooks(file: CohortFile, environ: Mapping[str, str]) -> tuple[Hook, ...]:
    """All webhooks of the class, each address once. Raises LabFileError."""
    found = [(file.path, each) for each in file.spec.webhooks]
    if environ.get(SETTING):
        path = Path(environ[SETTING]).expanduser()
        source = read_source(path)
        found += [(path, each) for each in validate(Webhooks, source, source.data).webhooks]
    twice = [url for url, count in Counter(each.url for _, each in found).items() if count > 1]
    if twice:
        raise LabFileError(f"the webhook {twice[0]} is there twice", "name all its `events` in one")
    return tuple(_hook(path, each) for path, each in found)


def _hook(file: Path, webhook: Webhook) -> Hook:
    path = file.parent / Path(webhook.secret_file).expanduser()
    return Hook(url=webhook.url, events=tuple(webhook.events), secret=_secret(file, path))


def _secret(file: Path, path: Path) -> bytes:
    hint = f"make it: `(umask 077; openssl rand -hex 32 > {path})`"
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise LabFileError(f"{file}: secret_file: {path} cannot be read: {error}", hint) from error
    if mode & 0o077:
        raise LabFileError(f"{file}: secret_file: others can read {path}", f"`chmod 600 {path}`")
    if len(text) < MIN_SECRET_CHARS:
        raise LabFileError(f"{file}: secret_file: {path} has {len(text)} characters, not {MIN_SECRET_CHARS}", hint)
    return next(_decoded(file, path, text))


def _decoded(file: Path, path: Path, text: str) -> Iterator[bytes]:
    """Of a secret as other tools for such hooks make it, what it stands for; any other as it is."""
    if not text.startswith(_STANDARD):
        yield text.encode()
        return
    try:
        yield base64.b64decode(text.removeprefix(_STANDARD), validate=True)
    except binascii.Error as error:
        raise LabFileError(f"{file}: secret_file: {path} begins with {_STANDARD} and is not Base64") from error
