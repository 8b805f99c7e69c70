"""What `labctl hub invite` answers."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from labctl.cli import screen
from labctl.cohorts.gradebook import harmless
from labctl.reports.plain import one_line

if TYPE_CHECKING:
    from labctl.hub.invites import Invite, Issued


def show_invites(
    cohort: str,
    issued: Sequence[Issued],
    people: Mapping[str, tuple[str, str]],
    url: str,
    *,
    csv: bool,
    json: bool,
) -> None:
    """Every link, for people, for a mail merge or for a program. `people` maps users to names and email addresses."""
    rows = [(each, *people[each.invite.user], _link(url, each.token)) for each in issued]
    if json:
        screen.answer_json(
            {
                "cohort": cohort,
                "invites": [
                    {
                        "user": each.invite.user,
                        "name": name,
                        "email": email,
                        "url": link,
                        "expires_at": each.invite.expires_at,
                    }
                    for each, name, email, link in rows
                ],
            }
        )
    elif csv:
        screen.answer(
            _csv([(each.invite.user, name, email, link, each.invite.expires_at) for each, name, email, link in rows])
        )
    else:
        for _, name, _, link in rows:
            screen.answer(f"{one_line(name)}  {link}")
        screen.hint("each link is for one person and is not shown again; --revoke makes it invalid")


def show_revoked(cohort: str, revoked: Sequence[Invite], *, json: bool) -> None:
    """Whose links are invalid from now on."""
    if json:
        screen.answer_json({"cohort": cohort, "revoked": [each.user for each in revoked]})
        return
    screen.answer(f"{len(revoked)} {'link is' if len(revoked) == 1 else 'links are'} invalid now")


def _link(url: str, token: str) -> str:
    return f"{url.rstrip('/')}/hub/invite?{urlencode({'token': token})}"


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\r\n")
    writer.writerow(["user", "name", "email", "link", "expires"])
    writer.writerows([[harmless(cell) for cell in row] for row in rows])
    return out.getvalue()
