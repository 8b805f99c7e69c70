"""What every report for people says in the same words."""

from __future__ import annotations

from typing import Any

from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.reports.json_text import dump
from labctl.reports.plain import one_line
from labctl.units import format_duration

SYMBOLS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.ERROR: "!", Outcome.SKIP: "–"}
WORDS = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.ERROR: "could not be looked at",
    Outcome.SKIP: "skipped",
}
TRUST = {
    "self": "self – checked under the learner's own account: good for practice, not for marks",
    "host": "host – checked from outside the learner's containers",
    "cluster": "cluster – checked by a grader that learners cannot reach",
}
_SHOWN_CHARS = 160


def trust(report: Report) -> str:
    """How far the report can be trusted, in words."""
    return TRUST.get(report.trust, one_line(report.trust))


def when(report: Report) -> str:
    """Start and duration. A start that is no ISO 8601 time is shown as it is."""
    started = one_line(report.started_at).replace("T", " ", 1).replace("+00:00", "Z").replace("Z", " UTC")
    return f"{started}, took {format_duration(report.duration_s)}"


def unmet(criterion: CriterionResult) -> list[CheckResult]:
    """The checks that keep the criterion from passing."""
    return [check for check in criterion.checks if check.outcome is not Outcome.PASS]


def reasons(criterion: CriterionResult) -> list[str]:
    """Why the criterion did not pass, in the words of its checks; empty when it passed."""
    if criterion.outcome is Outcome.PASS:
        return []
    messages = [check.message for check in unmet(criterion) if check.message.strip()]
    fallback = "What it needs did not pass." if criterion.outcome is Outcome.SKIP else "No reason was given."
    return messages or [fallback]


def wanted(check: CheckResult) -> str | None:
    """What a failed check wanted, on one line; None when there is nothing, or its message has said it already."""
    if check.outcome is not Outcome.FAIL or check.expected is None:
        return None
    items = check.expected if isinstance(check.expected, list) else [check.expected]
    said = all(isinstance(item, str) and item in check.message for item in items)
    return None if said else brief(check.expected)


def brief(value: Any) -> str:
    """An expected or actual value on one line; a string as it is, anything else as JSON."""
    return one_line(value if isinstance(value, str) else dump(value, indent=None), limit=_SHOWN_CHARS)


def tally(report: Report) -> str:
    """The score in words: `2 of 4 criteria passed · 40 of 100 points · 1 could not be looked at`."""
    count = {outcome: sum(c.outcome is outcome for c in report.criteria) for outcome in Outcome}
    parts = [
        f"{count[Outcome.PASS]} of {len(report.criteria)} criteria passed",
        f"{report.score} of {report.max_score} points",
        *(f"{count[kind]} {WORDS[kind]}" for kind in (Outcome.ERROR, Outcome.SKIP) if count[kind]),
    ]
    return " · ".join(parts)


def next_step(report: Report) -> tuple[str, str]:
    """What to do now: a sentence, which may be empty, and the command to type."""
    session = one_line(report.session)
    sentence = "Mend it and look again." if report.evidence.get("only") else ""
    for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.SKIP):
        for criterion in report.criteria:
            if criterion.outcome is outcome:
                return sentence, f"labctl verify {session} --criterion {one_line(criterion.id)}"
    if not report.criteria:
        return "No criterion was looked at.", f"labctl verify {session}"
    if report.evidence.get("only"):
        return "The criteria asked for passed.", f"labctl verify {session}"
    return "All criteria passed.", f"labctl down {session}"
