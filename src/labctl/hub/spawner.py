"""JupyterHub's named servers as labctl's sessions: start is `up`, stop is `down`, and what runs already is taken over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner, SpawnException
from traitlets import Unicode

from labctl.errors import LabctlError, NotFoundError
from labctl.hub.desk import Desk
from labctl.hub.door import open_door
from labctl.hub.quotas import Refused
from labctl.hub.threads import Threads
from labctl.notebook import notebook
from labctl.progress import Step
from labctl.sessions.context import here

SECRETS = frozenset({"JUPYTERHUB_API_TOKEN"})
_DEPRECATED = "JPY_API_TOKEN"
_STARTS, _ENDS, _LOOKS = Threads(8, "labctl-start"), Threads(8, "labctl-end"), Threads(16, "labctl-look")
"""Nobody's long start holds up an end or a look."""


class NotStarted(SpawnException):  # type: ignore[misc]
    """Why a session did not start, in words that every page of the Hub shows."""

    def __init__(self, words: str, *, reason: str) -> None:
        super().__init__(words, reason=reason)
        self.jupyterhub_message = words


class LabctlSpawner(Spawner):  # type: ignore[misc]  # JupyterHub is untyped
    """One server of one user. What takes time is done in threads, never on the Hub's loop."""

    cohort = Unicode(help="The cohort file.").tag(config=True)
    door = Unicode(
        help="The folder with the socket on which the Hub listens for containers; empty where they have a network."
    ).tag(config=True)
    session = ""
    """The id of the session; empty as long as there is none."""
    notice = ""
    """What the learner should know of it now: that it ends soon."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._steps: list[dict[str, Any]] = []
        self._done = 0
        self._stepped = asyncio.Event()

    async def start(self) -> str:
        """Where the server listens. What keeps it from starting is shown to the learner in words."""
        self._steps, self._done, self._stepped = [], 0, asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(step: Step) -> None:
            loop.call_soon_threadsafe(self._tell, step)

        wanted = notebook(self._notebook_environment(), SECRETS, self._open_door())
        user, server = self.user.name, self.name
        try:
            opened = await _STARTS.run(lambda: self._desk.open(user, server, wanted, tell))
        except LabctlError as error:
            raise NotStarted(_words(error), reason=type(error).__name__) from error
        self.session = opened.session
        return opened.url

    async def poll(self) -> int | None:
        """None while the session and its JupyterLab run, else 0."""
        session = self.session
        if not session:
            return 0
        self._open_door()  # after a restart, for those that run already
        try:
            seen = await _LOOKS.run(lambda: self._desk.look(session))
        except LabctlError as error:  # an engine that does not answer says nothing about the session
            self.log.warning("%s cannot be looked at: %s", session, error.what)
            return None
        self.notice = seen.notice
        return None if seen.running else 0

    async def stop(self, now: bool = False) -> None:
        """End the session with its services; the learner's files stay."""
        session = self.session
        if session:
            await _ENDS.run(lambda: self._desk.close(session))

    async def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        """What `up` is doing, as it does it, from the beginning for whoever comes later."""
        sent = 0
        while True:
            if sent < len(self._steps):
                yield self._steps[sent]
                sent += 1
            else:
                self._stepped.clear()
                await self._stepped.wait()

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        return {**state, "session": self.session} if self.session else state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.session = str(state.get("session", ""))

    def clear_state(self) -> None:
        super().clear_state()
        self.session = self.notice = ""

    @property
    def _desk(self) -> Desk:
        return desk(self.cohort)

    def _open_door(self) -> str:
        """Where containers reach this Hub; empty where they reach its address."""
        if not self.door:
            return ""
        folder = Path(self.door)
        open_door(JupyterHub.instance().http_server, folder)
        return str(folder)

    def _tell(self, step: Step) -> None:
        """One more line on the page. How much is left nobody knows: each thing done takes a fifth of what is."""
        if step.state == "progress" and step.detail.startswith("+ "):
            return  # each of a hundred packages
        self._done += step.state in ("done", "unchanged")
        words = f"{step.name}: {step.detail or step.state}"
        self._steps.append({"progress": round(95 - 90 * 0.8**self._done), "message": words})
        self._stepped.set()

    def _notebook_environment(self) -> dict[str, str]:
        """What JupyterLab must know of the Hub; nothing of the Hub's own environment."""
        env = {name: str(value) for name, value in self.get_env().items() if value is not None}
        return {name: value for name, value in env.items() if name.startswith("JUPYTERHUB_") and name != _DEPRECATED}


@cache
def desk(cohort: str) -> Desk:
    """The one desk of this Hub, whose spawners share what they know of each other."""
    return Desk(here(), Path(cohort))


def _words(error: LabctlError) -> str:
    """For the learner: hints are theirs where the cohort refuses, else they are for whoever runs labctl."""
    first = error.what.partition("\n")[0]
    is_theirs = isinstance(error, Refused | NotFoundError)
    return f"{first[:1].upper()}{first[1:]}; {error.hint if is_theirs else 'try again, and tell your instructor if it stays so'}."
