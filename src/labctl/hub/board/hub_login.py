"""Logging in with JupyterHub: its OAuth for pages, its tokens for the API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from labctl.errors import EngineError
from labctl.hub.board.access import Forbidden
from labctl.hub.board.base import board_of
from labctl.hub.board.guard import inside
from labctl.hub.board.room import Room
from labctl.hub.board.signed import opened, sign
from labctl.hub.board.viewer import Viewer

COOKIE, STATE = "labctl-board", "labctl-board-state"
LASTS_S, STATE_LASTS_S = 12 * 3600, 600
KNOWN_S = 30.0
"""So long is it believed what the Hub has said of a token, without asking again."""
BELIEVED_S = 60.0
"""So long while it is being asked again."""
LEARNER_S = 300.0
"""So long is somebody who is no instructor taken for none; who is one is asked about each time."""
MANY = 1000
INSTRUCTORS = frozenset({"instructor", "instructors"})
"""Groups of the Hub whose members see and do everything."""
WHOLE_CLASS = "custom:labctl:class"
"""The scope with which a service of the Hub, which is nobody on any list, sees and does everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlace:
    """Where the Hub is, and as whom the board speaks to it; `browser_url` is what browsers see of it, ending in `hub/`."""

    api_url: str
    api_token: str
    client_id: str
    callback_path: str
    browser_url: str
    access_scopes: frozenset[str]

    @classmethod
    def of(cls, env: Mapping[str, str]) -> HubPlace:
        """From what the Hub gives its services. Raises KeyError for what is missing."""
        base = env.get("JUPYTERHUB_HOST", "") + env.get("JUPYTERHUB_BASE_URL", "/")
        return cls(
            api_url=env["JUPYTERHUB_API_URL"].rstrip("/"),
            api_token=env["JUPYTERHUB_API_TOKEN"],
            client_id=env["JUPYTERHUB_CLIENT_ID"],
            callback_path=env["JUPYTERHUB_OAUTH_CALLBACK_URL"],
            browser_url=f"{base}hub/",
            access_scopes=frozenset(json.loads(env["JUPYTERHUB_OAUTH_ACCESS_SCOPES"])),
        )


class HubLogin:
    """Users are the Hub's. What a token may is asked of it, and asked again after half a minute: whoever is busy on the
    board does not wait for that, whoever comes back after a minute does."""

    def __init__(
        self,
        hub: HubPlace,
        room: Room,
        secret: bytes,
        clock: Callable[[], float] = time.time,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._hub, self._room, self._secret, self._clock = hub, room, secret, clock
        self._http = http or httpx.AsyncClient(timeout=20, trust_env=False)
        self._known: dict[str, tuple[float, Viewer | None]] = {}
        self._asking: dict[str, asyncio.Task[Viewer | None]] = {}
        self._no_instructors: dict[str, float] = {}

    async def of_page(self, request: Request) -> Viewer | None:
        found = opened(self._secret, COOKIE, request.cookies.get(COOKIE, ""), self._clock())
        return await self.of_token(str(found["token"])) if found else None

    async def of_token(self, token: str) -> Viewer | None:
        key, now = hashlib.sha256(token.encode()).hexdigest(), self._clock()
        at, viewer = self._known.get(key, (-math.inf, None))
        if now - at < KNOWN_S:
            return viewer
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._renew(key, token))
            self._asking[key].add_done_callback(lambda task: task.cancelled() or task.exception())
        return viewer if now - at < BELIEVED_S else await asyncio.shield(self._asking[key])

    async def _renew(self, key: str, token: str) -> Viewer | None:
        """Ask the Hub, and remember what it says."""
        try:
            viewer = await self._ask(token)
            self._forget(self._clock())
            self._known[key] = (self._clock(), viewer)
            return viewer
        finally:
            del self._asking[key]

    def _forget(self, now: float) -> None:
        """What is old; and where somebody tries token after token, all that was refused."""
        many = len(self._known) > MANY
        known = self._known.items()
        self._known = {key: (at, who) for key, (at, who) in known if now - at < BELIEVED_S and (who or not many)}
        self._no_instructors = {name: until for name, until in self._no_instructors.items() if now < until}

    def start(self, back: str) -> str:
        return f"{self._hub.callback_path.rpartition('/')[0]}/login?{urlencode({'next': back})}"

    def routes(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/login", self._begin, methods=["GET"])
        router.add_api_route("/oauth_callback", self._finish, methods=["GET"])
        router.add_api_route("/logout", self._leave, methods=["GET"])
        return router

    async def _begin(self, request: Request, next: str = "") -> Response:
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": self._hub.client_id,
            "redirect_uri": self._hub.callback_path,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        answer = RedirectResponse(f"{self._hub.browser_url}api/oauth2/authorize?{urlencode(asked)}", 302)
        values = {"state": state, "verifier": verifier, "next": inside(board_of(request).prefix, next)}
        _keep(request, answer, STATE, sign(self._secret, STATE, values, self._clock() + STATE_LASTS_S), STATE_LASTS_S)
        return answer

    async def _finish(self, request: Request, code: str = "", state: str = "") -> Response:
        begun = opened(self._secret, STATE, request.cookies.get(STATE, ""), self._clock())
        if begun is None or not secrets.compare_digest(str(begun["state"]).encode(), state.encode()):
            return RedirectResponse(self.start(board_of(request).prefix), 302)
        token = await self._token(code, str(begun["verifier"]))
        if await self.of_token(token) is None:
            raise Forbidden("the Hub does not let you see this board", "ask your instructor")
        answer = RedirectResponse(str(begun["next"]), 302)
        answer.delete_cookie(STATE, path=board_of(request).prefix)
        _keep(request, answer, COOKIE, sign(self._secret, COOKIE, {"token": token}, self._clock() + LASTS_S), LASTS_S)
        return answer

    async def _leave(self, request: Request) -> Response:
        answer = RedirectResponse(f"{self._hub.browser_url}logout", 302)
        answer.delete_cookie(COOKIE, path=board_of(request).prefix)
        return answer

    async def _token(self, code: str, verifier: str) -> str:
        form = {
            "client_id": self._hub.client_id,
            "client_secret": self._hub.api_token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._hub.callback_path,
            "code_verifier": verifier,
        }
        answer = await self._call("POST", "/oauth2/token", data=form)
        if answer.status_code != 200:
            raise Forbidden("the Hub did not accept the login", "log in again")
        return str(answer.json()["access_token"])

    async def _ask(self, token: str) -> Viewer | None:
        """Who has this token, if it may be used here."""
        answer = await self._call("GET", "/user", headers={"Authorization": f"token {token}"})
        if answer.status_code != 200:
            return None
        user = answer.json()
        scopes = frozenset(user.get("scopes", ()))
        if self._hub.access_scopes.isdisjoint(scopes):
            return None
        name = str(user["name"])
        if user.get("kind", "user") != "user":
            return Viewer(name=f"{user['kind']}:{name}", instructor=WHOLE_CLASS in scopes)
        return Viewer(
            name=name,
            instructor=await self._is_instructor(name, user),
            learner_id=self._room.learner_of(name),
        )

    async def _is_instructor(self, name: str, user: Mapping[str, Any]) -> bool:
        """By the cohort file, or by what the Hub tells the board itself; a token need not let its owner's rights be seen."""
        if name.casefold() in {each.casefold() for each in self._room.cohort.instructors}:
            return True
        if self._clock() < self._no_instructors.get(name, 0.0):
            return False
        own = {"Authorization": f"token {self._hub.api_token}"}
        answer = await self._call("GET", f"/users/{quote(name, safe='')}", headers=own)
        full = answer.json() if answer.status_code == 200 else user
        found = bool(full.get("admin")) or not INSTRUCTORS.isdisjoint(full.get("groups", ()))
        if not found:
            self._no_instructors[name] = self._clock() + LEARNER_S
        return found

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, self._hub.api_url + path, **more)
        except httpx.HTTPError as error:
            raise EngineError("the Hub does not answer", "try again in a moment") from error


def _keep(request: Request, answer: Response, name: str, value: str, lasts_s: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=lasts_s,
        path=board_of(request).prefix,
        secure=_is_encrypted(request),
        httponly=True,
        samesite="lax",
    )


def _is_encrypted(request: Request) -> bool:
    """Whether the browser came by https; of several proxies the first one knows."""
    first = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return (first or request.url.scheme) == "https"
