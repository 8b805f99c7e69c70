"""The report as JUnit XML, as CI systems read it: one suite, a test case for each criterion.

Elements and attributes are those that pytest writes, which GitLab, Jenkins and GitHub's actions understand.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from labctl.outcomes import CriterionResult, Outcome, Report
from labctl.reports.json_text import dump
from labctl.reports.plain import one_line, plain
from labctl.reports.wording import brief, reasons, unmet

_ELEMENTS = {Outcome.FAIL: "failure", Outcome.ERROR: "error", Outcome.SKIP: "skipped"}
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def render(report: Report) -> str:
    """The whole XML document. Characters that XML does not allow are left out or replaced."""
    root = ET.Element("testsuites", name="labctl")
    suite = ET.SubElement(root, "testsuite", _totals(report))
    _properties(suite, _facts(report))
    for criterion in report.criteria:
        _case(suite, report, criterion)
    ET.indent(root)
    return _DECLARATION + ET.tostring(root, encoding="unicode") + "\n"


def _totals(report: Report) -> dict[str, str]:
    outcomes = [criterion.outcome for criterion in report.criteria]
    return {
        "name": one_line(report.lab),
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count(Outcome.FAIL)),
        "errors": str(outcomes.count(Outcome.ERROR)),
        "skipped": str(outcomes.count(Outcome.SKIP)),
        "time": f"{report.duration_s:.3f}",
        "timestamp": one_line(report.started_at),
    }


def _facts(report: Report) -> dict[str, str]:
    facts = {
        "score": str(report.score),
        "max_score": str(report.max_score),
        "session": report.session,
        "learner": report.learner,
        "runtime": report.runtime,
        "profile": report.profile,
        "trust": report.trust,
    }
    evidence = report.evidence.items()
    return facts | {f"evidence.{name}": _text(value) for name, value in evidence}


def _text(value: object) -> str:
    return value if isinstance(value, str) else dump(value, indent=None)


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=one_line(name), value=one_line(value))


def _case(suite: ET.Element, report: Report, criterion: CriterionResult) -> None:
    time_s = sum(check.duration_s for check in criterion.checks)
    names = {"classname": one_line(report.lab), "name": one_line(criterion.id), "time": f"{time_s:.3f}"}
    case = ET.SubElement(suite, "testcase", names)
    figures = {"points": criterion.points, "earned": criterion.earned}
    _properties(case, {"text": criterion.text, **{name: str(figure) for name, figure in figures.items()}})
    if criterion.outcome is not Outcome.PASS:
        message = one_line("; ".join(reasons(criterion)))
        ET.SubElement(case, _ELEMENTS[criterion.outcome], message=message).text = _details(criterion)


def _details(criterion: CriterionResult) -> str:
    lines = [plain(criterion.text)]
    for check in unmet(criterion):
        lines += [f"{one_line(check.kind)}: {plain(check.message)}"]
        lines += [f"  wanted: {brief(check.expected)}"] if check.expected is not None else []
        lines += [f"  seen: {brief(check.actual)}"] if check.actual is not None else []
    return "\n".join([*lines, f"hint: {plain(criterion.hint)}"])
