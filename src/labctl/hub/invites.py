"""Links that log one person in: signed, expiring, revocable. Of a link only a hash is kept, so it can be told only once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from labctl.disk import locked, read_json, write_atomically
from labctl.errors import LabctlError
from labctl.hub.folder import HubFolder
from labctl.store.records import iso

MAX_TOKEN_CHARS = 512
_KEY_BYTES = 32


class InviteRefused(LabctlError):
    """A link that does not log anybody in; in words for whoever opened it."""

    exit_code = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """Who is let in by a link, and until when. `user` is what the Hub calls them, `name` what people do."""

    id: str
    user: str
    name: str
    instructor: bool
    expires_at: str

    def expired(self, now: datetime) -> bool:
        return now >= datetime.fromisoformat(self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new link's token, which is nowhere else."""

    invite: Invite
    token: str


class Invites:
    """The invitations of one Hub. Any number of processes may use them at once."""

    def __init__(self, folder: HubFolder) -> None:
        self._folder = folder

    def issue(
        self, people: Mapping[str, str], lasts_s: float, now: datetime, *, instructor: bool = False
    ) -> list[Issued]:
        """A new link for each of `people` (user → name); links that they have already stay valid."""
        expires = iso(now + timedelta(seconds=lasts_s))
        key = self._key()
        issued = [
            _issue(Invite(id=_id(), user=user, name=name, instructor=instructor, expires_at=expires), key)
            for user, name in people.items()
        ]
        with self._changing() as known:
            for each in issued:
                known[each.invite.id] = {**asdict(each.invite), "hash": _hash(each.token)}
        return issued

    def revoke(self, users: Iterable[str]) -> list[Invite]:
        """Make every link of `users` invalid; which those were."""
        gone = set(users)
        with self._changing() as known:
            ids = [id for id, values in known.items() if values.get("user") in gone]
            return [_invite(known.pop(id)) for id in ids]

    def is_invited(self, user: str) -> bool:
        """Whether a link was made for `user` and not revoked since; it may have expired."""
        return any(values.get("user") == user for values in self._known().values())

    def check(self, token: str, now: datetime) -> Invite:
        """Whose link it is. Raises InviteRefused for one that was changed, made up, revoked or is too old."""
        signed, _, signature = token.partition(".")
        if len(token) > MAX_TOKEN_CHARS or not hmac.compare_digest(_sign(signed, self._key()), _bytes(signature)):
            raise InviteRefused("this link is not valid", "open it whole, as it was sent to you, or ask for a new one")
        values = self._known().get(_text(signed).get("id", ""), {})
        if not hmac.compare_digest(str(values.get("hash", "")), _hash(token)):
            raise InviteRefused("this link was withdrawn", "ask your instructor for a new one")
        invite = _invite(values)
        if invite.expired(now):
            raise InviteRefused(f"this link was valid until {invite.expires_at}", "ask your instructor for a new one")
        return invite

    def _known(self) -> dict[str, dict[str, Any]]:
        return {id: values for id, values in read_json(self._folder.invites).items() if isinstance(values, dict)}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, Any]]]:
        """What is known, to be changed in place while nobody else does; written when all went well."""
        self._folder.create()
        with locked(self._folder.root / "invites.lock"):
            known = self._known()
            yield known
            write_atomically(self._folder.invites, json.dumps(known, indent=1))

    def _key(self) -> bytes:
        """The key that signs; made the first time."""
        file = self._folder.invite_key
        self._folder.create()
        with locked(self._folder.root / "invites.lock"):
            with suppress(FileNotFoundError):
                key = file.read_bytes()
                if len(key) == _KEY_BYTES:
                    return key
            key = secrets.token_bytes(_KEY_BYTES)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(key)
            return key


def _issue(invite: Invite, key: bytes) -> Issued:
    text = json.dumps({"id": invite.id, "user": invite.user, "until": invite.expires_at}, separators=(",", ":"))
    signed = _encoded(text.encode())
    return Issued(invite=invite, token=f"{signed}.{_encoded(_sign(signed, key))}")


def _invite(values: dict[str, Any]) -> Invite:
    return Invite(
        id=str(values["id"]),
        user=str(values["user"]),
        name=str(values["name"]),
        instructor=bool(values["instructor"]),
        expires_at=str(values["expires_at"]),
    )


def _sign(text: str, key: bytes) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _id() -> str:
    return secrets.token_urlsafe(12)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Empty for what is no base64."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _text(signed: str) -> dict[str, Any]:
    try:
        values = json.loads(_bytes(signed))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
