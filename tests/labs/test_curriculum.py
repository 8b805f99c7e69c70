"""The labs that ship cover the curriculum: no row without a criterion, no criterion without a row."""

from __future__ import annotations

from labctl.labs import catalog, curriculum
from labctl.labs.lab import load_folder


def test_every_row_of_a_stage_that_has_labs_is_proved_and_every_criterion_names_a_row() -> None:
    folder = catalog.builtin_folder()
    labs = [load_folder(file.parent) for file in sorted(folder.glob(f"*/{catalog.LAB_FILE}"))]
    gaps = curriculum.gaps(curriculum.load(folder), labs)
    assert gaps == [], "\n".join(["", *gaps])


def test_rows_have_ids_of_their_own_and_stand_in_the_order_of_stages() -> None:
    rows = curriculum.load(catalog.builtin_folder()).rows
    assert len({row.id for row in rows}) == len(rows)
    assert [row.stage for row in rows] == sorted(int(row.id[0]) for row in rows)
