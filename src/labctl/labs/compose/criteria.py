"""First criteria for a converted stack: the learner describes it, and then each service is seen to work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from labctl.labs.compose.ports import WEB

DESCRIBED = "stack-described"
FILE = "stack.md"
_ANSWERS = [200, 204, 301, 302, 303, 307, 308, 401, 403, 404]
"""What a web service that works may say to a request for a path that it was not asked about before."""
_CONNECT = (
    "import socket, sys; from urllib.parse import urlsplit; a = urlsplit(sys.argv[1]); "
    "socket.create_connection((a.hostname, a.port), 5)"
)


def criteria(services: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One for the description of all services, one for each service with a port or a health check."""
    checks = [{"file": {"path": FILE, "text": {"matches": rf"(?m)^- {id}: \S"}}} for id in services]
    described = {
        "id": DESCRIBED,
        "text": f"{FILE} says in a line `- NAME: …` what each service is for",
        "points": 40,
        "hint": "`labctl status` lists the services, `labctl logs` shows what one is doing.",
        "checks": checks,
    }
    found = [described]
    for id, service in services.items():
        seen = _check(id, service)
        if seen:
            text, check = seen
            name = f"{id[:33].rstrip('-')}-works"
            taken = {each["id"] for each in found}
            found.append(
                {
                    "id": name if name not in taken else f"service-{len(found)}-works",
                    "needs": [DESCRIBED],
                    "text": text,
                    "points": 10,
                    "hint": f"Look at `labctl status` and at the log of {id}.",
                    "checks": [check],
                }
            )
    return found


def _check(id: str, service: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """(what must hold, the check), None for a service that shows nothing to look at."""
    probe, ports = service.get("healthcheck", {}), service.get("ports", {})
    if probe.get("http"):
        http = {"service": id, "port": probe["port"], "path": probe["http"], "status": _ANSWERS[:7], "retry": "30s"}
        return f"{id} answers a request for its health", {"http": http}
    web = next((port for port, number in ports.items() if number in WEB), None)
    if web and not probe.get("tcp"):
        http = {"service": id, "port": web, "path": "/", "status": _ANSWERS, "retry": "30s"}
        return f"{id} answers a request", {"http": http}
    if ports:
        port = probe.get("port") or next(iter(ports))
        command = ["python3", "-c", _CONNECT, f"{{{{ url('{id}', '{port}') }}}}"]
        return f"{id} accepts connections", {"command": {"command": command, "retry": "30s"}}
    if probe:
        return f"{id} has not crashed", {"log": {"service": id, "text": {"excludes": "Traceback"}}}
    return None


def stack_md(services: Mapping[str, Mapping[str, Any]], *, without: str | None = None, words: bool = True) -> str:
    """The learner's file, complete; or a line short; or names with nothing said about them."""
    lines = [
        f"- {id}:{f' runs {_image(service)}' if words else ''}\n" for id, service in services.items() if id != without
    ]
    return f"{STARTER}{''.join(lines)}"


STARTER = "# The stack\n\nOne line for each service: a dash, its name, a colon, and what it is for.\n\n"


def _image(service: Mapping[str, Any]) -> str:
    return re.sub(r"[^\w.:/@-]", "", str(service["image"]))
