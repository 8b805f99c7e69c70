"""Logging in by an invite link: a handler beside whatever authenticator the Hub has, and one that lets in nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyterhub import orm
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from traitlets import Unicode

from labctl.hub.folder import folder_at
from labctl.hub.invites import Invite, InviteRefused, Invites

INSTRUCTORS = "instructor"
"""The Hub's group and role of those who may see and do everything in the cohort."""


class InviteAuthenticator(Authenticator):  # type: ignore[misc]  # JupyterHub is untyped
    """Nobody logs in with a name and a password: everybody has a link. See `InviteHandler`.

    Whose links are all revoked is logged out, within `auth_refresh_age` seconds.
    """

    folder = Unicode(help="The folder of the Hub's files; its name is the cohort's.").tag(config=True)

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> bool:
        return Invites(folder_at(self.folder)).is_invited(user.name)

    async def authenticate(self, handler: Any, data: Any) -> None:
        return None


class InviteHandler(BaseHandler):  # type: ignore[misc]
    """`/hub/invite?token=…`: a page that says who will be logged in, and a button that does it.

    Nobody is logged in by opening a page: mail scanners open links, and another site may make a browser open one.
    """

    def initialize(self, folder: str) -> None:
        self._invites = Invites(folder_at(folder))

    async def get(self) -> None:
        token = self.get_argument("token", "")
        try:
            invite = self._invites.check(token, datetime.now(UTC))
        except InviteRefused as refused:
            await self._refuse(refused)
            return
        await self._show("invite.html", invite=invite, token=token)

    async def post(self) -> None:
        try:
            invite = self._invites.check(self.get_body_argument("token", ""), datetime.now(UTC))
        except InviteRefused as refused:
            await self._refuse(refused)
            return
        user = await self.auth_to_user({"name": invite.user, "auth_state": None})
        self._join(user, invite)
        self.set_login_cookie(user)
        self.redirect(self.get_next_url(user))

    def _join(self, user: Any, invite: Invite) -> None:
        """Put an instructor into the group; of the others nobody is taken out, for the cohort file may have put them in."""
        group = orm.Group.find(self.db, INSTRUCTORS)
        if invite.instructor and group is not None and user.orm_user not in group.users:
            group.users.append(user.orm_user)
            self.db.commit()

    async def _refuse(self, refused: InviteRefused) -> None:
        self.set_status(403)
        await self._show("invite.html", refused=refused, token="")

    async def _show(self, template: str, **values: Any) -> None:
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.render_template(template, xsrf=self.xsrf_token.decode("ascii"), **values))
