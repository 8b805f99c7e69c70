"""Tables: aligned, never wider than the terminal, and harmless whatever is in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.table import Cell, _text_width, render

TEXTS = st.text(max_size=80)


def test_columns_line_up_with_letters_that_are_two_columns_wide() -> None:
    shown = render(("A", "B"), [[Cell("实验室"), Cell("x")], [Cell("abc"), Cell("y")]]).splitlines()
    assert shown == ["A        B", "实验室   x", "abc      y"]


def test_a_long_cell_wraps_and_the_others_stay_whole() -> None:
    shown = render(("ID", "TEXT"), [[Cell("one"), Cell("several words that do not fit")]], width=20).splitlines()
    assert shown == ["ID    TEXT", "one   several words", "      that do not", "      fit"]


def test_styles_do_not_count_as_width() -> None:
    shown = render(("A", "B"), [[Cell("x", "red"), Cell("y")]], paint=lambda text, style: f"<{style}>{text}</>")
    assert shown.splitlines()[1] == "<red>x</>   <>y</>"


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5), st.integers(min_value=60, max_value=120))
def test_no_line_is_wider_than_the_terminal_and_nothing_commands_it(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    shown = render(("A", "B", "C"), [[Cell(text) for text in row] for row in rows], width=width)
    assert all(_text_width(line) <= width for line in shown.split("\n"))
    assert not any(ord(char) < 32 and char != "\n" for char in shown)
