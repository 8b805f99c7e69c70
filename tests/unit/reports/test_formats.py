"""What holds for every report, whatever learners managed to get into it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from dataclasses import fields, replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.reports import terminal
from labctl.reports.formats import FORMATS
from labctl.reports.json_text import SCHEMA_FILE
from labctl.reports.plain import plain

any_text = st.one_of(
    st.text(st.characters(), max_size=30),
    st.lists(st.sampled_from(["\x1b[31m", "\x1b]0;", "\x9b2J", "<", "]]>", "&", "[bold]", "[/]", "\ud800", "\x00", "{{ 1 }}", "好", "\u202e", "\r\n"])).map("".join),
)  # fmt: skip
any_value = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
any_check = st.builds(
    CheckResult,
    kind=any_text,
    outcome=st.sampled_from(Outcome),
    message=any_text,
    expected=any_value,
    actual=any_value,
    duration_s=st.floats(0, 1e6),
    attempts=st.integers(1, 9),
)
any_criterion = st.builds(
    CriterionResult,
    id=any_text,
    source=any_text,
    text=any_text,
    points=st.integers(1, 1000),
    earned=st.just(0),
    outcome=st.sampled_from(Outcome),
    hint=any_text,
    checks=st.lists(any_check, max_size=2).map(tuple),
)
any_report = st.builds(
    Report,
    lab=any_text,
    session=any_text,
    learner=any_text,
    runtime=any_text,
    profile=any_text,
    trust=any_text,
    started_at=any_text,
    duration_s=st.floats(0, 1e6),
    criteria=st.lists(any_criterion, max_size=3).map(tuple),
    evidence=st.dictionaries(any_text, any_value, max_size=2),
)

CTRF_TEST_KEYS = {"name", "status", "rawStatus", "duration", "suite", "labels", "retries", "steps", "message", "extra"}


class _Elements(HTMLParser):
    """What a browser makes of a page."""

    VOID = frozenset({"meta", "progress", "!doctype"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _commands_a_terminal(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs") and char != "\n" for char in text)


@settings(deadline=None, max_examples=50)
@given(report=any_report, width=st.sampled_from([20, 60, 80, 200]))
def test_terminal_text_never_commands_the_terminal(report: Report, width: int) -> None:
    assert not _commands_a_terminal(terminal.render(report, width=width))


@settings(deadline=None, max_examples=50)
@given(report=any_report)
def test_json_holds_the_whole_report(report: Report) -> None:
    text = FORMATS["json"](report)
    assert not _commands_a_terminal(text)
    read = json.loads(text.encode())
    assert list(read) == list(report.to_json())
    assert [each["id"] for each in read["criteria"]] == [each.id for each in report.criteria]
    messages = [[check["message"] for check in each["checks"]] for each in read["criteria"]]
    assert messages == [[check.message for check in each.checks] for each in report.criteria]


@settings(deadline=None, max_examples=50)
@given(report=any_report)
def test_junit_is_well_formed_with_a_case_for_each_criterion(report: Report) -> None:
    suite = ET.fromstring(FORMATS["junit"](report).encode())[0]
    assert len(suite.findall("testcase")) == len(report.criteria) == int(suite.attrib["tests"])
    for case, criterion in zip(suite.findall("testcase"), report.criteria, strict=True):
        marks = [case.find(name) is not None for name in ("failure", "error", "skipped")]
        assert marks == [criterion.outcome is kind for kind in (Outcome.FAIL, Outcome.ERROR, Outcome.SKIP)]


@settings(deadline=None, max_examples=50)
@given(report=any_report)
def test_html_holds_only_our_own_elements(report: Report) -> None:
    page = FORMATS["html"](report)
    page.encode()
    elements = _Elements(page)
    assert elements.open == []
    assert not elements.seen & {"script", "b", "iframe", "img", "link", "a"}
    assert elements.links == []
    assert not _commands_a_terminal(page.replace("\t", ""))


@settings(deadline=None, max_examples=50)
@given(report=any_report)
def test_ctrf_counts_and_names_every_criterion(report: Report) -> None:
    document = json.loads(FORMATS["ctrf"](report))
    assert document.keys() == {"reportFormat", "specVersion", "generatedBy", "results"}
    summary, tests = document["results"]["summary"], document["results"]["tests"]
    statuses = [summary[name] for name in ("passed", "failed", "skipped", "pending", "other")]
    assert sum(statuses) == summary["tests"] == len(tests) == len(report.criteria)
    assert all(isinstance(summary[name], int) for name in ("start", "stop", "duration"))
    assert all(test.keys() <= CTRF_TEST_KEYS and test["name"] and isinstance(test["duration"], int) for test in tests)


@settings(deadline=None, max_examples=50)
@given(text=any_text)
def test_plain_text_stays_plain(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(text))


def test_json_is_what_the_schema_says(report: Report) -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    document = json.loads(FORMATS["json"](report))
    checker.validate(document)
    for broken in ({**document, "outcome": "wrong"}, {**document, "more": 1}, {**document, "criteria": [{}]}):
        assert list(checker.iter_errors(broken))


@pytest.mark.parametrize(
    ("kind", "path", "derived"),
    [
        (Report, (), {"outcome", "score", "max_score"}),
        (CriterionResult, ("$defs", "criterion"), set()),
        (CheckResult, ("$defs", "check"), set()),
    ],
)
def test_the_schema_names_the_fields_there_are(kind: type[Any], path: tuple[str, ...], derived: set[str]) -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    for part in path:
        schema = schema[part]
    assert set(schema["properties"]) == set(schema["required"]) == {field.name for field in fields(kind)} | derived


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    assert max(cell_len(line) for line in terminal.render(report, width=width).splitlines()) <= width


def test_colours_appear_only_on_a_terminal_that_has_them(report: Report) -> None:
    stream = StringIO()
    terminal.print_report(
        report, Console(file=stream, width=80, force_terminal=True, color_system="standard", _environ={})
    )
    coloured = stream.getvalue()
    assert "\x1b[32m✓" in coloured
    assert "\x1b[31m✗" in coloured
    assert "owned" not in coloured
    assert "\x1b" not in terminal.render(report)


def test_the_next_step_names_the_first_criterion_that_failed(report: Report) -> None:
    assert terminal.render(report).endswith("Next: labctl verify stage2-finetune--ada --criterion behaviour-changed\n")


def test_when_all_passed_the_next_step_is_to_end_the_session(report: Report) -> None:
    done = terminal.render(replace(report, criteria=report.criteria[:1]))
    assert done.endswith("All criteria passed. Next: labctl down stage2-finetune--ada\n")


def test_a_report_without_criteria_claims_nothing(report: Report) -> None:
    empty = terminal.render(replace(report, criteria=()))
    assert "0 of 0 criteria passed" in empty
    assert "All criteria passed" not in empty


def test_naming_the_formats_loads_none_of_their_libraries() -> None:
    code = (
        "import sys, labctl.reports.formats; "
        "print(sorted({'rich', 'jinja2', 'xml.etree', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
