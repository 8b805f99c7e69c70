"""A model comes from a hub: by the hub's own program, from a server that answers as the hub does."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hosts.bundled import write_lab

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": bytes(range(256)) * 400}


class Hub(http.server.BaseHTTPRequestHandler):
    """What huggingface_hub asks for a download, of one model."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, *, is_head: bool) -> None:
        type(self).asked.append(f"{self.command} {self.path}")
        path, _, name = self.path.partition("?")[0].rpartition("/")
        if self.path.startswith("/api/models/org/big/revision/"):
            siblings = [{"rfilename": each} for each in FILES]
            self._send(json.dumps({"id": "org/big", "sha": COMMIT, "siblings": siblings}).encode(), is_head)
        elif self.path.startswith("/api/models/org/big/tree/"):
            entries = [{"type": "file", "path": each, "size": len(FILES[each]), "oid": each} for each in FILES]
            self._send(json.dumps(entries).encode(), is_head)
        elif path.startswith("/org/big/resolve/") and name in FILES:
            self._send(FILES[name], is_head)
        else:
            self.send_error(404)

    def _send(self, content: bytes, is_head: bool) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not is_head:
            self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[type[Hub]]:
    Hub.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HOME", str(home / "hf"))
        monkeypatch.setenv("LABCTL_MODELS", str(home / "hub"))
        yield Hub
        server.shutdown()
        thread.join()


@pytest.fixture
def lab(home: Path) -> str:
    write_lab(home / "labs", home / "hub", "none")
    shutil.rmtree(home / "hub")
    return "bundled"


def pull(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", "model", "pull", *words]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300)


def test_a_model_of_a_hub_is_downloaded_once_with_its_sums(home: Path, lab: str, hub: type[Hub]) -> None:
    first = pull(lab, "--json")
    assert first.returncode == 0, first.stdout + first.stderr
    states = {item["name"].split("-")[0]: item["state"] for item in json.loads(first.stdout)["items"]}
    assert states == {"small": "loaded", "org/big": "loaded"}
    folder = home / "hub" / "org" / "big"
    assert {path.name for path in folder.iterdir()} == {*FILES, ".labctl-sha256"}
    subprocess.run(["sha256sum", "--quiet", "-c", ".labctl-sha256"], cwd=folder, check=True)
    hub.asked.clear()
    assert json.loads(pull(lab, "--json").stdout)["changed"] is False
    assert hub.asked == []


def test_a_model_that_the_hub_has_not_is_told_with_its_words(home: Path, lab: str, hub: type[Hub]) -> None:
    text = (home / "labs/bundled/lab.yaml").read_text()
    (home / "labs/bundled/lab.yaml").write_text(text.replace("org/big", "org/unknown"))
    said = pull(lab)
    assert said.returncode == 4
    assert "org/unknown could not be downloaded" in said.stderr
    assert not (home / "hub" / "org" / "unknown").exists()
