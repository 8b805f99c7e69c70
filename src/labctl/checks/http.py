"""`http`: one request to a service, and what its answer must be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.checks.match import Match
from labctl.checks.request import RequestFields, as_list, why_it_broke
from labctl.outcomes import CheckResult
from labctl.target import Response, Target


class HttpCheck(RequestFields, BaseCheck):
    """One HTTP request to a service; its status, headers, body and duration are compared."""

    kind: Literal["http"] = "http"
    service: NonEmpty
    """The service that is asked."""
    status: int | list[int] = 200
    """The status wanted, or any of these."""
    content_type: str | None = None
    """What the answer's content type must begin with."""
    expect_headers: dict[str, Match] = {}
    """What headers of the answer must be."""
    text: Match | None = None
    """What the body's text must be."""
    max_latency: float | None = Field(default=None, gt=0)
    """Seconds until the whole answer is there."""

    def look(self, target: Target) -> CheckResult:
        response = target.request(self.request_to(self.service, self.timeout))
        unmet = self._unmet(response)
        seen = {
            "status": response.status,
            "content_type": response.headers.get("content-type"),
            "body": response.text[:500],
        }
        if unmet:
            why = why_it_broke(target, self.service, response, self.status)
            message = f"{self.asked()} answered {response.status}; wanted {'; '.join(unmet)}{why}"
            return self.failed(message, expected=unmet, actual=seen)
        return self.passed(f"{self.asked()} answered {response.status}", actual=seen)

    def _unmet(self, response: Response) -> list[str]:
        wanted = as_list(self.status)
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
