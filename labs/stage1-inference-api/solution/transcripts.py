"""Saves in curl/ what `curl -i` would show for five requests: status line, headers, an empty line, body.

Written with the standard library, so that it runs where curl is not installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS = urlsplit(os.environ["LABCTL_URL_API"]).netloc
REQUESTS = {
    "analyze": ("POST", "/analyze", {"text": "A friendly guide and a great day."}),
    "empty": ("POST", "/analyze", {"text": ""}),
    "too-long": ("POST", "/analyze", {"text": "long " * 500}),
    "wrong-method": ("GET", "/analyze", None),
    "unknown-path": ("GET", "/analyse", None),
}


def main() -> None:
    wait_until_live()
    Path("curl").mkdir(exist_ok=True)
    for name, (method, path, body) in REQUESTS.items():
        Path("curl", f"{name}.txt").write_text(transcript(*ask(method, path, body)), encoding="utf-8")


def wait_until_live(limit_s: float = 30) -> None:
    """Returns once the running process has loaded the files that lie here now."""
    version = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path().glob("*.py")))).hexdigest()[:12]
    deadline = time.monotonic() + limit_s
    while live_version() != version:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {limit_s:g} s the API still runs {live_version()}, not {version}")
        time.sleep(0.1)


def live_version() -> str:
    try:
        return str(json.loads(ask("GET", "/health", None)[1]).get("version"))
    except (OSError, ValueError):
        return "nothing"


def ask(method: str, path: str, body: object) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(ADDRESS, timeout=10)
    try:
        content = {} if body is None else {"body": json.dumps(body), "headers": {"content-type": "application/json"}}
        connection.request(method, path, **content)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def transcript(response: HTTPResponse, body: str) -> str:
    headers = "".join(f"{name}: {value}\n" for name, value in response.getheaders())
    return f"HTTP/1.1 {response.status} {response.reason}\n{headers}\n{body}\n"


if __name__ == "__main__":
    main()
