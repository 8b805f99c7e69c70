"""`json`: a value in a JSON file of the workspace, or in a service's JSON answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from labctl.checks.base import BaseCheck, NonEmpty, WorkspacePath
from labctl.checks.documents import MAX_JSON_BYTES, Selector, brief, lacking, parse_json, read_json, select
from labctl.checks.match import Match
from labctl.checks.request import RequestFields, require_status, why_it_broke
from labctl.outcomes import CheckResult
from labctl.target import Target


class JsonCheck(RequestFields, BaseCheck):
    """A value selected from a JSON file of the workspace, or from a service's JSON answer."""

    kind: Literal["json"] = "json"
    file: WorkspacePath | None = None
    """The file, when it is one; otherwise give `service` and, where needed, `path`, `method`, `json` …"""
    service: NonEmpty | None = None
    """The service whose answer is read."""
    status: int | list[int] = 200
    """The status the answer must have, or any of these."""
    select: Selector | None = None
    """A JMESPath expression; the whole document when left out."""
    match: Match
    """What the selected value must be; what is not there is null."""

    @model_validator(mode="after")
    def _one_source(self) -> JsonCheck:
        if (self.file is None) == (self.service is None):
            raise ValueError("give exactly one of file or service")
        asked = self.model_fields_set & {*RequestFields.model_fields, "status"}
        if self.file is not None and asked:
            raise ValueError(f"{', '.join(sorted(asked))} belong to a request; with file they mean nothing")
        return self

    def look(self, target: Target) -> CheckResult:
        what, document = self._document(target)
        value = select(self.select, document, what)
        unmet = self.match.unmet(value)
        name = f"{self.select} in {what}" if self.select else what
        if unmet:
            seen = lacking(self.select, document, what) or f"{name} is {brief(value)}"
            message = f"{seen}; wanted {' and '.join(unmet)}"
            return self.failed(message, expected=self.match.wanted(), actual=value)
        return self.passed(f"{name} is {brief(value)}", expected=self.match.wanted(), actual=value)

    def _document(self, target: Target) -> tuple[str, Any]:
        if self.service is None:
            path = str(self.file)
            return path, read_json(target, path)
        asked = self.asked()
        response = target.request(self.request_to(self.service, self.timeout, MAX_JSON_BYTES))
        require_status(response, self.status, asked, why_it_broke(target, self.service, response, self.status))
        return f"the answer to {asked}", parse_json(response.body, f"the answer to {asked}")
