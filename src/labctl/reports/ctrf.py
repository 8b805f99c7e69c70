"""The report in the Common Test Report Format (https://ctrf.io): JSON that dashboards and CI actions share.

Its schema is schema/ctrf.schema.json in the ctrf-io/ctrf repository. Times are whole milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.reports.json_text import dump
from labctl.reports.plain import one_line, plain
from labctl.reports.wording import reasons

SPEC_VERSION = "0.0.0"
"""What CTRF's own tools write while the format has no numbered release."""
_STATUS = {Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.ERROR: "other", Outcome.SKIP: "skipped"}


def render(report: Report) -> str:
    """The whole JSON document, with a newline at its end."""
    results = {
        "tool": {"name": "labctl"},
        "summary": _summary(report),
        "tests": [_test(report, criterion) for criterion in report.criteria],
        "environment": {
            "reportName": one_line(report.lab),
            "testEnvironment": one_line(f"{report.runtime}/{report.profile}"),
        },
        "extra": _extra(report),
    }
    return (
        dump({"reportFormat": "CTRF", "specVersion": SPEC_VERSION, "generatedBy": "labctl", "results": results}) + "\n"
    )


def _summary(report: Report) -> dict[str, Any]:
    statuses = [_STATUS[criterion.outcome] for criterion in report.criteria]
    start_ms, duration_ms = _epoch_ms(report.started_at), _ms(report.duration_s)
    return {
        "tests": len(statuses),
        **{status: statuses.count(status) for status in ("passed", "failed", "skipped", "pending", "other")},
        "suites": 1,
        "start": start_ms,
        "stop": start_ms + duration_ms,
        "duration": duration_ms,
    }


def _test(report: Report, criterion: CriterionResult) -> dict[str, Any]:
    test = {
        "name": one_line(f"{criterion.id}: {criterion.text}"),
        "status": _STATUS[criterion.outcome],
        "rawStatus": str(criterion.outcome),
        "duration": _ms(sum(check.duration_s for check in criterion.checks)),
        "suite": [one_line(report.lab)],
        "labels": {"source": criterion.source, "points": criterion.points, "earned": criterion.earned},
        "retries": sum(max(check.attempts - 1, 0) for check in criterion.checks),
        "steps": [_step(check) for check in criterion.checks],
    }
    if criterion.outcome is not Outcome.PASS:
        test["message"] = plain("\n".join(reasons(criterion)))
        test["extra"] = {"hint": criterion.hint}
    return test


def _step(check: CheckResult) -> dict[str, Any]:
    observed = {"expected": check.expected, "actual": check.actual, "attempts": check.attempts}
    name = one_line(f"{check.kind}: {check.message}")
    return {"name": name, "status": _STATUS[check.outcome], "extra": observed}


def _extra(report: Report) -> dict[str, Any]:
    values = report.to_json()
    names = ("session", "learner", "trust", "outcome", "score", "max_score", "evidence")
    return {name: values[name] for name in names}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _epoch_ms(text: str) -> int:
    """Milliseconds since 1970; a time without a zone is UTC, and what is no time is 0."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return _ms((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
