"""Every format of one report, letter by letter. `UPDATE_GOLDEN=1 pytest tests/unit/reports` writes the files anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl.outcomes import Report
from labctl.reports.formats import FORMATS

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "reports"
FILES = {
    "text": "report.txt",
    "json": "report.json",
    "junit": "report.xml",
    "html": "report.html",
    "ctrf": "report.ctrf.json",
}


def test_every_format_has_a_golden_file() -> None:
    assert FILES.keys() == FORMATS.keys()
    assert {path.name for path in GOLDEN.iterdir()} == set(FILES.values())


@pytest.mark.parametrize("name", FORMATS)
def test_the_report_looks_as_it_did(name: str, report: Report) -> None:
    path, text = GOLDEN / FILES[name], FORMATS[name](report)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8")
