"""Invite links: whoever holds one whole, in time and unrevoked is let in, and nobody else."""

from __future__ import annotations

import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.hub.folder import HubFolder
from labctl.hub.invites import InviteRefused, Invites

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
HOUR = 3600.0


@pytest.fixture
def invites(tmp_path: Path) -> Invites:
    return Invites(HubFolder(tmp_path, "autumn"))


def token(invites: Invites, user: str = "ada") -> str:
    return invites.issue({user: user.title()}, HOUR, NOW)[0].token


def test_a_link_lets_in_the_one_it_was_made_for(invites: Invites) -> None:
    ada, li = invites.issue({"ada": "Ada", "li": "李雷"}, HOUR, NOW)
    assert [invites.check(each.token, NOW).user for each in (ada, li)] == ["ada", "li"]
    assert not invites.check(ada.token, NOW).instructor


def test_a_link_is_good_until_it_expires_and_not_a_second_longer(invites: Invites) -> None:
    link = token(invites)
    assert invites.check(link, NOW + timedelta(seconds=HOUR - 1)).user == "ada"
    with pytest.raises(InviteRefused, match="was valid until 2026-09-01T13:00:00Z"):
        invites.check(link, NOW + timedelta(seconds=HOUR))


def test_revoking_makes_every_link_of_somebody_invalid_and_nobody_elses(invites: Invites) -> None:
    first, second, li = token(invites), token(invites), token(invites, "li")
    assert [each.user for each in invites.revoke(["ada"])] == ["ada", "ada"]
    for gone in (first, second):
        with pytest.raises(InviteRefused, match="withdrawn"):
            invites.check(gone, NOW)
    assert invites.check(li, NOW).user == "li"


def test_a_link_of_another_hub_is_not_valid(invites: Invites, tmp_path: Path) -> None:
    other = Invites(HubFolder(tmp_path, "spring"))
    with pytest.raises(InviteRefused, match="not valid"):
        other.check(token(invites), NOW)


def test_what_is_kept_holds_no_link_and_is_the_owners_alone(invites: Invites, tmp_path: Path) -> None:
    link = token(invites)
    files = [file for file in (tmp_path / "hubs" / "autumn").iterdir() if file.is_file()]
    assert files
    for file in files:
        assert link.encode() not in file.read_bytes()
        assert link.partition(".")[2].encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "." * 600, "x" * 10_000, "eyJpZCI6MX0.", "\0"])
def test_what_is_no_link_is_refused_in_words(invites: Invites, text: str) -> None:
    with pytest.raises(InviteRefused, match="not valid"):
        invites.check(text, NOW)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_link_with_any_character_changed_added_or_missing_is_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        invites = Invites(HubFolder(Path(folder), "autumn"))
        link = token(invites)
        at = data.draw(st.integers(0, len(link)))
        put = data.draw(st.text(max_size=2))
        length = data.draw(st.integers(0, 2))
        changed = link[:at] + put + link[at + length :]
        if changed == link:
            assert invites.check(changed, NOW).user == "ada"
        else:
            with pytest.raises(InviteRefused):
                invites.check(changed, NOW)
