"""Webhooks as files name them."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabFileError
from labctl.hub.board.hooks import SETTING, hooks
from labctl.sessions.context import Context
from tests.unit.board.classes import make

URL = "https://grades.example.org/labctl"


@pytest.fixture
def folder(home: Path, write_lab: Callable[..., Path]) -> Path:
    write_lab()
    made = home / "autumn"
    made.mkdir()
    secret(made / "hook.secret", "0123456789abcdef\n")
    return made


def secret(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def lines(url: str = URL, more: str = "") -> str:
    return f"webhooks:\n  - url: {url}\n    secret_file: hook.secret\n{more}"


def test_the_cohort_file_and_the_settings_file_both_count(ctx: Context, folder: Path, home: Path) -> None:
    secret(home / "more.secret", "whsec_" + base64.b64encode(b"sixteen bytes !!").decode())
    (home / "hooks.yaml").write_text(
        "webhooks:\n  - {url: 'http://127.0.0.1:8000/x', secret_file: more.secret, events: [expired]}\n"
    )
    room = make(ctx, folder, more=lines())
    first, second = hooks(room.file, {SETTING: str(home / "hooks.yaml")})
    assert (first.url, first.events, first.secret) == (URL, ("verified", "expired", "failed"), b"0123456789abcdef")
    assert (second.events, second.secret) == (("expired",), b"sixteen bytes !!")
    assert b"0123456789abcdef" not in repr(first).encode()
    assert hooks(make(ctx, folder).file, {}) == ()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/x", "is no address"),
        ("https://", "is no address"),
        ("http://grades.example.org/x", "only https"),
        ("https://eve:secret@example.org/x", "without a user name"),
        ("https://example.org/x#y", "after #"),
    ],
)
def test_an_address_that_cannot_be_or_is_not_safe_is_a_mistake_of_the_file(
    ctx: Context, folder: Path, url: str, why: str
) -> None:
    with pytest.raises(LabFileError, match=why) as caught:
        make(ctx, folder, more=lines(f"'{url}'"))
    assert "cohort.yaml:6" in caught.value.what


def test_an_event_that_there_is_not_is_a_mistake_of_the_file(ctx: Context, folder: Path) -> None:
    with pytest.raises(LabFileError, match="events"):
        make(ctx, folder, more=lines(more="    events: [graded]\n"))


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("0123456789abcdef", 0o644, "others can read"),
        ("short", 0o600, "has 5 characters"),
        ("whsec_not base 64!!", 0o600, "is not Base64"),
    ],
)
def test_a_secret_that_is_none_is_refused(ctx: Context, folder: Path, text: str, mode: int, why: str) -> None:
    room = make(ctx, folder, more=lines())
    secret(folder / "hook.secret", text, mode)
    with pytest.raises(LabFileError, match=why) as caught:
        hooks(room.file, {})
    assert text not in caught.value.what


def test_a_secret_that_is_missing_is_told_with_how_to_make_one(ctx: Context, folder: Path) -> None:
    (folder / "hook.secret").unlink()
    with pytest.raises(LabFileError, match="cannot be read") as caught:
        hooks(make(ctx, folder, more=lines()).file, {})
    assert "openssl rand -hex 32" in caught.value.hint


def test_one_address_twice_is_refused(ctx: Context, folder: Path) -> None:
    room = make(ctx, folder, more=lines() + f"  - {{url: {URL}, secret_file: hook.secret}}\n")
    with pytest.raises(LabFileError, match="is there twice"):
        hooks(room.file, {})


def test_the_portal_is_not_served_with_a_webhook_that_is_wrong(ctx: Context, folder: Path) -> None:
    make(ctx, folder, more=lines())
    (folder / "hook.secret").unlink()
    command = [sys.executable, "-m", "labctl", "hub", "serve", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7
    assert "hook.secret cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
