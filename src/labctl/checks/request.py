"""A request as a lab file writes it, shared by every check that speaks HTTP."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import Model, Unmet
from labctl.target import MAX_OUTPUT_BYTES, CannotLook, Request, Response, Target

MAX_BODY_CHARS = 60
MAX_TEXT_CHARS = 40
LOG_LINES, MAX_LOG_LINE_CHARS = 3, 160


class RequestFields(Model):
    """What is asked of a service."""

    port: str | None = None
    """Which of its ports; the first one when left out."""
    path: str = Field(default="/", pattern=r"^(/|\{\{)")
    """Path and query."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The HTTP method."""
    headers: dict[str, str] = {}
    """Headers sent with it."""
    json_body: Any = Field(default=None, alias="json")
    """Sent as JSON, with its content type."""
    body: str | None = None
    """Sent as it is."""

    @model_validator(mode="after")
    def _one_body(self) -> RequestFields:
        if "json_body" in self.model_fields_set and self.body is not None:
            raise ValueError("give json or body, not both")
        return self

    def asked(self) -> str:
        """The request in a few words, its body shortened and what does not print made visible, for messages."""
        body = self.body or ""
        if "json_body" in self.model_fields_set:
            body = json.dumps(_shortened(self.json_body), ensure_ascii=False)
        visible = "".join(char if char.isprintable() else repr(char)[1:-1] for char in body)
        cut = visible if len(visible) <= MAX_BODY_CHARS else f"{visible[:MAX_BODY_CHARS]}…"
        return f"{self.method} {self.path} {cut}".rstrip()

    def request_to(self, service: str, timeout_s: float, max_bytes: int = MAX_OUTPUT_BYTES) -> Request:
        """The request these fields describe."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.body.encode() if self.body is not None else None
        if "json_body" in self.model_fields_set:
            body = json.dumps(self.json_body).encode()
            headers.setdefault("content-type", "application/json")
        return Request(
            service=service,
            port=self.port,
            path=self.path,
            method=self.method,
            headers=headers,
            body=body,
            timeout_s=timeout_s,
            max_bytes=max_bytes,
        )


def as_list(wanted: int | list[int]) -> list[int]:
    """The accepted numbers, whether one or several were given."""
    return [wanted] if isinstance(wanted, int) else wanted


def require_status(response: Response, wanted: int | list[int], asked: str, why: str = "") -> None:
    """Raises Unmet when the answer has another status (`why` is added), or was cut because it is too long."""
    if response.status not in as_list(wanted):
        accepted = " or ".join(map(str, as_list(wanted)))
        raise Unmet(f"{asked} answered {response.status}; wanted {accepted}: {response.text[:300]}{why}")
    if response.truncated:
        raise Unmet(f"{asked} answered more than the {len(response.body)} bytes that are looked at")


def why_it_broke(target: Target, service: str, response: Response, wanted: int | list[int]) -> str:
    """The end of the service's log on lines of its own, when it answered 5xx and no such status was wanted; else ""."""
    if response.status < 500 or max(as_list(wanted)) >= 500:
        return ""
    try:
        log = target.logs(service)
    except CannotLook:
        return ""
    lines = [line.rstrip()[:MAX_LOG_LINE_CHARS] for line in log.splitlines() if line.strip()][-LOG_LINES:]
    return "\n".join(["", f"the log of {service} ends with:", *(f"  {line}" for line in lines)]) if lines else ""


def _shortened(value: Any) -> Any:
    """`value` with the long texts in it cut and their length told, so that 2000 and 2001 characters look different."""
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        return f"{value[: MAX_TEXT_CHARS // 2]}… ({len(value)} characters)"
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return value
