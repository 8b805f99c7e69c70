"""`http`: one request to a service, and what its answer must be."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.checks.match import Match
from labctl.outcomes import CheckResult
from labctl.target import Request, Response, Target


class HttpCheck(BaseCheck):
    """One HTTP request to a service; its status, headers, body and duration are compared."""

    kind: Literal["http"] = "http"
    service: NonEmpty
    """The service that is asked."""
    port: str | None = None
    """Which of its ports; the first one when left out."""
    path: str = Field(default="/", pattern=r"^/")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    """Sent as JSON, with its content type."""
    body: str | None = None
    """Sent as it is."""
    status: int | list[int] = 200
    """The status wanted, or any of these."""
    content_type: str | None = None
    """What the answer's content type must begin with."""
    expect_headers: dict[str, Match] = {}
    text: Match | None = None
    """What the body's text must be."""
    max_latency: float | None = Field(default=None, gt=0)
    """Seconds until the whole answer is there."""

    @model_validator(mode="after")
    def _one_body(self) -> HttpCheck:
        if self.json_body is not None and self.body is not None:
            raise ValueError("give json or body, not both")
        return self

    def run(self, target: Target) -> CheckResult:
        response = target.request(self.request())
        unmet = self._unmet(response)
        seen = {
            "status": response.status,
            "content_type": response.headers.get("content-type"),
            "body": response.text[:500],
        }
        asked = f"{self.method} {self.path}"
        if unmet:
            return self.failed(
                f"{asked} answered {response.status}; wanted {'; '.join(unmet)}", expected=unmet, actual=seen
            )
        return self.passed(f"{asked} answered {response.status}", actual=seen)

    def request(self) -> Request:
        """The request this check sends."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.body.encode() if self.body is not None else None
        if "json_body" in self.model_fields_set:
            body = json.dumps(self.json_body).encode()
            headers.setdefault("content-type", "application/json")
        return Request(
            service=self.service,
            port=self.port,
            path=self.path,
            method=self.method,
            headers=headers,
            body=body,
            timeout_s=self.timeout,
        )

    def _unmet(self, response: Response) -> list[str]:
        wanted = [self.status] if isinstance(self.status, int) else self.status
        unmet = [] if response.status in wanted else [f"status {' or '.join(map(str, wanted))}"]
        content_type = response.headers.get("content-type", "")
        if self.content_type and not content_type.startswith(self.content_type):
            unmet.append(f"content type {self.content_type}, not {content_type or 'none'}")
        for name, match in self.expect_headers.items():
            unmet += [f"header {name} {text}" for text in match.unmet(response.headers.get(name.lower()))]
        if self.text is not None:
            unmet += [f"a body {text}" for text in self.text.unmet(response.text)]
        if self.max_latency is not None and response.duration_s > self.max_latency:
            unmet.append(f"an answer within {self.max_latency:g}s, not {response.duration_s:.2f}s")
        return unmet
