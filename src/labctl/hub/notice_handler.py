"""`/hub/notice/SERVER`: what JupyterLab shows its learner of their own server, as JSON."""

from __future__ import annotations

from jupyterhub.handlers.base import BaseHandler
from tornado.web import HTTPError


class NoticeHandler(BaseHandler):  # type: ignore[misc]  # JupyterHub is untyped
    """Asked by a page every few seconds: it answers from memory, and never sends anybody to log in."""

    async def get(self, server: str) -> None:
        user = self.current_user
        if user is None:
            raise HTTPError(403)
        spawner = user.spawners.get(server)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish({"notice": spawner.notice if spawner and spawner.active else ""})
