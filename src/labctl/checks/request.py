"""A request as a lab file writes it, shared by every check that speaks HTTP."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import Model, Unmet
from labctl.target import MAX_OUTPUT_BYTES, Request, Response


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


def require_status(response: Response, wanted: int | list[int], asked: str) -> None:
    """Raises Unmet when the answer has another status, or was cut because it is too long."""
    if response.status not in as_list(wanted):
        accepted = " or ".join(map(str, as_list(wanted)))
        raise Unmet(f"{asked} answered {response.status}; wanted {accepted}: {response.text[:300]}")
    if response.truncated:
        raise Unmet(f"{asked} answered more than the {len(response.body)} bytes that are looked at")
