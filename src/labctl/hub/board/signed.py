"""Values that come back from a browser as they went out: signed, and good for a limited time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def sign(secret: bytes, purpose: str, values: Mapping[str, Any], until: float) -> str:
    """`values` as text for a cookie or a link; good until that time, in seconds since 1970, for this `purpose` only."""
    body = _encode(json.dumps([until, dict(values)], separators=(",", ":")).encode())
    return f"{body}.{_mac(secret, purpose, body)}"


def opened(secret: bytes, purpose: str, text: str, now: float) -> dict[str, Any] | None:
    """The values that `sign` was given; None for what it has not made, for this purpose, or what is too old.

    >>> text = sign(b"key", "seat", {"who": "ada"}, until=100)
    >>> opened(b"key", "seat", text, 99), opened(b"key", "seat", text, 100), opened(b"other", "seat", text, 99)
    ({'who': 'ada'}, None, None)
    """
    body, _, mac = text.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(secret, purpose, body).encode()):
        return None
    try:
        until, values = json.loads(_decode(body))
    except (ValueError, binascii.Error):
        return None
    return dict(values) if now < until else None


def _mac(secret: bytes, purpose: str, body: str) -> str:
    return _encode(hmac.new(secret, f"{purpose}:{body}".encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
