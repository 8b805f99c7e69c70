"""A real portal for tests: `labctl hub serve` with JupyterHub and its proxy, and people who use it without a browser."""

from __future__ import annotations

import asyncio
import html
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.conftest import LAB

LACKS_PROXY = "there is no configurable-http-proxy here; get it with: npm install -g configurable-http-proxy"
_READY_S = 90.0


def until(wanted: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """The first true answer of `wanted`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = wanted()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what}")


class Portal:
    """One cohort's portal in `folder`, with the labs small-lab and other-lab."""

    def __init__(self, folder: Path, cohort: str = "", runtime: str = "local", lab: str = LAB) -> None:
        self.folder = folder
        self.env = _environment(folder)
        self.cohort = folder / "autumn"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("small-lab", "other-lab"):
            _write(folder / "labs" / name / "lab.yaml", lab)
            _write(folder / "labs" / name / "README.md", f"# {name}\n\nWrite **yes** into `answer.txt`.\n")
        head = f"labs: [small-lab, other-lab]\nroster: roster.csv\nruntime: {runtime}\novercommit: 100\n"
        _write(self.cohort / "cohort.yaml", head + cohort)
        _write(
            self.cohort / "roster.csv",
            "Name,ID,Email\nAda <b>Lovelace,1001,ada@example.org\n李雷,1002,li@example.org\nZoë,1003,\n",
        )

    def labctl(self, *args: str, code: int = 0) -> str:
        """What it answers on stdout."""
        command = [sys.executable, "-m", "labctl", *args]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def session(self, id: str) -> dict[str, Any] | None:
        found = json.loads(self.labctl("status", "--json"))["sessions"]
        return next((each for each in found if each["session"] == id), None)

    def serve(self, *more: str) -> None:
        """Start it, and return when it answers."""
        command = [sys.executable, "-m", "labctl", "hub", "serve", str(self.cohort), "--port", str(self.port), *more]
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        until(self._answers, f"the portal answers; its log: {self.log()}", _READY_S)

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As Ctrl-C does; the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def log(self) -> str:
        lines = (self.folder / "hub.log").read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if "ConfigProxy" not in line][-40:])

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def invite(self, *who: str) -> str:
        found = json.loads(self.labctl("hub", "invite", str(self.cohort), *who, "--json"))
        return str(found["invites"][0]["url"])

    @contextmanager
    def visitor(self, link: str | None = None) -> Iterator[Visitor]:
        """Somebody with a browser of their own, logged in by `link` where there is one."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=60) as client:
            visitor = Visitor(client)
            if link:
                visitor.log_in(link)
            yield visitor

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return httpx.get(f"{self.url}/hub/health").status_code == 200
        except httpx.HTTPError:
            return False


class Visitor:
    """Who clicks and types, without a browser."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def log_in(self, link: str) -> httpx.Response:
        page = self.client.get(link)
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'name="(_xsrf|token)" value="([^"]*)"', page.text))
        return self.client.post("/hub/invite", data=fields)

    def start(self, user: str, server: str) -> list[dict[str, Any]]:
        """Press Start; the events that the page shows, until the server is ready or has failed."""
        page = self.client.get(f"/hub/spawn/{user}/{server}")
        found = re.search(r'(/hub/api/users/[^"]*/progress[^"]*)"', page.text)
        if found is None:
            return [{"status": page.status_code, "url": str(page.url), "text": page.text}]
        events = []
        with self.client.stream("GET", found[1].replace("\\u0026", "&"), timeout=300) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    events.append(json.loads(line[5:]))
                    if events[-1].get("ready") or events[-1].get("failed"):
                        break
        return events

    def allow(self, page: httpx.Response) -> httpx.Response:
        """Press the button of the page on which the Hub asks whether a server may know who one is."""
        assert page.url.path == "/hub/api/oauth2/authorize", page.url
        fields = re.findall(r'name="(_xsrf|scopes)"\s+value="([^"]*)"', page.text)
        fields += [(name, value) for value, name in re.findall(r'value="([^"]*)"\s+name="(_xsrf|scopes)"', page.text)]
        form: dict[str, list[str]] = {}
        for name, value in fields:
            form.setdefault(name, []).append(html.unescape(value))
        return self.client.post(page.url, data=form, headers={"Referer": str(page.url)})

    def is_in(self, user: str, server: str) -> bool:
        """Whether JupyterLab's page and its own interface answer them."""
        place = f"/user/{user}/{server}"
        pages = [self.client.get(f"{place}/lab"), self.client.get(f"{place}/api/status")]
        return [page.status_code for page in pages] == [200, 200] and "kernels" in pages[1].text

    def stop(self, user: str, server: str) -> int:
        xsrf = self._xsrf("/hub/")
        url = f"/hub/api/users/{user}/servers/{server}"
        return self.client.delete(url, headers={"X-XSRFToken": xsrf, "Referer": str(self.client.base_url)}).status_code

    def type(self, user: str, server: str, line: str, answer: str) -> str:
        """Type a line into a new terminal in JupyterLab; what stood there when `answer` had come."""
        place = f"/user/{user}/{server}/"
        assert self.client.get(f"{place}lab").status_code == 200
        headers = {"X-XSRFToken": self._xsrf(place)}
        made = self.client.post(f"{place}api/terminals", headers=headers)
        assert made.status_code == 200, made.text
        path = f"{place}terminals/websocket/{made.json()['name']}"
        return asyncio.run(_typed(str(self.client.base_url.join(path)), self._cookies(path), line, answer))

    def _xsrf(self, path: str) -> str:
        found = [cookie for cookie in self.client.cookies.jar if cookie.name == "_xsrf" and cookie.path == path]
        return str(found[0].value)

    def _cookies(self, path: str) -> str:
        cookies = [each for each in self.client.cookies.jar if path.startswith(each.path)]
        return "; ".join(f"{each.name}={each.value}" for each in sorted(cookies, key=lambda each: -len(each.path)))


async def _typed(url: str, cookies: str, line: str, answer: str) -> str:
    request = HTTPRequest(url.replace("http", "ws", 1), headers={"Cookie": cookies})
    connection = await websocket_connect(request)
    await connection.write_message(json.dumps(["stdin", f"{line}\r"]))
    said = ""
    async with asyncio.timeout(30):
        while answer not in said:
            message = await connection.read_message()
            assert message is not None, said
            kind, *rest = json.loads(message)
            said += rest[0] if kind == "stdout" else ""
    connection.close()
    while await connection.read_message() is not None:
        pass
    return said


def require_proxy() -> None:
    """Skips the test where the proxy is missing."""
    if not shutil.which(os.environ.get("LABCTL_HUB_PROXY", "configurable-http-proxy")):
        pytest.skip(LACKS_PROXY)


def _environment(folder: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABCTL_")}
    passed = {name: os.environ[name] for name in ("LABCTL_HUB_PROXY", "LABCTL_BASE_IMAGE") if name in os.environ}
    own = {"LABCTL_HOME": "home", "LABCTL_WORKSPACES": "work", "LABCTL_LABS": "labs", "XDG_CONFIG_HOME": "config"}
    return {**kept, **passed, **{name: str(folder / value) for name, value in own.items()}}


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _free_port() -> int:
    """Below those that are taken for outgoing connections: it is to be there again after a restart."""
    for port in random.sample(range(10_000, 14_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")
