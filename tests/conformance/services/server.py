"""A service that tells what it sees: `python3 server.py HOST PORT [--note NAME] [--after NAME]`. Standard library only.

`GET /` answers with its environment and a number that no other start of it has; `/fetch/NAME` with what the URL in the
environment variable NAME answers; `/file/NAME` with a file of its folder. `PUT /file/NAME` writes one,
`POST /crash` ends the process with exit code 3. With --note, `NAME begins` and `NAME listens` are added to order.txt;
with --after, it listens only once `NAME begins` stands there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

START = uuid.uuid4().hex
ORDER = Path("order.txt")


class Handler(BaseHTTPRequestHandler):
    """Answers as the module says; every request is a line of the log."""

    def do_GET(self) -> None:
        if self.path == "/":
            seen = {"environment": dict(os.environ), "start": START}
            self._answer(200, json.dumps(seen).encode())
        elif self.path.startswith("/fetch/"):
            with urllib.request.urlopen(os.environ[self.path.removeprefix("/fetch/")], timeout=10) as answer:
                self._answer(200, answer.read())
        elif self.path.startswith("/file/"):
            self._file(Path(self.path.removeprefix("/file/")))
        else:
            self._answer(404, b"nothing here")

    def do_PUT(self) -> None:
        file = Path(self.path.removeprefix("/file/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.rfile.read(int(self.headers["content-length"])))
        self._answer(200, b"written")

    def do_POST(self) -> None:
        os._exit(3)

    def _file(self, file: Path) -> None:
        if file.is_file():
            self._answer(200, file.read_bytes())
        else:
            self._answer(404, b"no such file")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def note(line: str) -> None:
    with ORDER.open("a") as stream:
        stream.write(line + "\n")


def wait_for(line: str) -> None:
    """Return when `line` stands in order.txt. Whoever waits too long is not healthy in time, which is what tests see."""
    while not ORDER.exists() or line not in ORDER.read_text().splitlines():
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--note")
    parser.add_argument("--after")
    chosen = parser.parse_args()
    print("starting", flush=True)
    if chosen.note:
        note(f"{chosen.note} begins")
    if chosen.after:
        wait_for(f"{chosen.after} begins")
    server = ThreadingHTTPServer((chosen.host, chosen.port), Handler)
    if chosen.note:
        note(f"{chosen.note} listens")
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
