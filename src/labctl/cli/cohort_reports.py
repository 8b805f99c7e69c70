"""The attempts that count, written out one by one: for those who ask why they got what they got."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import UsageError
from labctl.outcomes import Report
from labctl.reports.formats import FORMATS

if TYPE_CHECKING:
    from labctl.cohorts.grades import Row
    from labctl.sessions.context import Context

_FILES = {"html": "report.html", "junit": "junit.xml"}


def write_reports(ctx: Context, rows: Sequence[Row], folder: Path) -> int:
    """`folder/LEARNER/LAB/report.html` and `junit.xml` for every attempt that counts; how many there are.

    Raises UsageError where it cannot be written.
    """
    counted = [(row, lab, grade.attempt) for row in rows for lab, grade in row.grades.items() if grade.attempt]
    try:
        for row, lab, attempt in counted:
            place = folder / row.person.id / lab
            place.mkdir(parents=True, exist_ok=True)
            report = Report.from_json(ctx.store.report(attempt))
            for format, name in _FILES.items():
                (place / name).write_text(FORMATS[format](report), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--reports: {error.filename} cannot be written: {error.strerror}", "choose another folder"
        ) from error
    return len(counted)
