"""The report for a person at a terminal, or in a log."""

from __future__ import annotations

from io import StringIO
from textwrap import wrap

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.reports.plain import one_line, plain
from labctl.reports.wording import SYMBOLS, brief, next_step, reasons, tally, trust, unmet, wanted, when

_MAX_WIDTH = 100
_BAR_CELLS = 30
_ACCENT = "cyan"
_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.ERROR: "bold", Outcome.SKIP: "dim"}


def render(report: Report, *, width: int = 80) -> str:
    """The report as plain text of `width` columns, without any colour or escape sequence."""
    stream = StringIO()
    print_report(report, Console(file=stream, width=width, color_system=None, force_terminal=False, _environ={}))
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().split("\n")[:-1])


def print_report(report: Report, console: Console, *, explained: int | None = None) -> None:
    """Print the report on `console`, in its width and with the colours it has.

    What did not pass is explained first, so that the table and the score are what stays in view; at most `explained`
    criteria, all when it is None.
    """
    width = min(console.width, _MAX_WIDTH)
    parts = [_header(report), Text()]
    unmet = [criterion for criterion in report.criteria if criterion.outcome in (Outcome.FAIL, Outcome.ERROR)]
    for criterion in unmet[:explained]:
        parts += [_explanation(criterion), Text()]
    more = len(unmet[explained:]) if explained is not None else 0
    if more:
        how = f"labctl verify {one_line(report.session)} --criterion ID"
        parts += [Text(f"{more} more did not pass; see one with ").append(how, style=_ACCENT), Text()]
    parts += [_criteria(report, width), Text(), _score(report)]
    console.print(Group(*parts), width=width, highlight=False, markup=False, emoji=False)


def _header(report: Report) -> RenderableType:
    title = Text().append(one_line(report.lab), style=f"bold {_ACCENT}").append(f"  {one_line(report.learner)}")
    facts = _grid()
    facts.add_row(_label("session"), Text(one_line(report.session)))
    facts.add_row(_label("ran on"), Text(f"{one_line(report.runtime)}, {one_line(report.profile)} profile"))
    facts.add_row(_label("started"), Text(when(report)))
    facts.add_row(_label("trust"), Text(trust(report)))
    return Group(title, facts)


def _criteria(report: Report, width: int) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=1, no_wrap=True)
    id_width = max(8, width // 3)
    table.add_column(max_width=id_width, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for criterion in report.criteria:
        style = _STYLES[criterion.outcome]
        table.add_row(
            Text(SYMBOLS[criterion.outcome], style=style),
            Text("\n".join(wrap(one_line(criterion.id), id_width))),  # rich would break ids anywhere, this at dashes
            _wording(criterion),
            Text(f"{criterion.earned}/{criterion.points}", style=style),
        )
    return table


def _wording(criterion: CriterionResult) -> Text:
    """The criterion's text; of one that was skipped, which stands nowhere else, why it was."""
    if criterion.outcome is not Outcome.SKIP:
        return Text(one_line(criterion.text))
    return Text(f"{one_line(criterion.text)} ({one_line(reasons(criterion)[0]).rstrip('.')})", style="dim")


def _explanation(criterion: CriterionResult) -> RenderableType:
    title = Text(f"{SYMBOLS[criterion.outcome]} {one_line(criterion.id)}", style=_STYLES[criterion.outcome])
    facts = _grid()
    checks = unmet(criterion)
    if checks:
        for check in checks:
            _explain(facts, check)
    else:
        facts.add_row(_label("why"), Text(reasons(criterion)[0]))
    if criterion.outcome is not Outcome.SKIP and criterion.hint.strip():
        facts.add_row(_label("hint"), Text(plain(criterion.hint).strip()))
    return Group(title, Padding(facts, (0, 0, 0, 2)))


def _explain(facts: Table, check: CheckResult) -> None:
    facts.add_row(_label(one_line(check.kind)), Text(plain(check.message).strip()))
    if (text := wanted(check)) is not None:
        facts.add_row(_label("wanted"), Text(text))
    if check.outcome is not Outcome.SKIP and check.actual is not None:
        facts.add_row(_label("seen"), Text(brief(check.actual)))


def _score(report: Report) -> RenderableType:
    done = _BAR_CELLS * report.score // report.max_score if report.max_score else 0
    passed = report.outcome is Outcome.PASS
    bar = Text("━" * done, style=_STYLES[Outcome.PASS]).append("┄" * (_BAR_CELLS - done), style="dim")
    sentence, command = next_step(report)
    step = Text(f"{sentence} ".lstrip(), style=_STYLES[Outcome.PASS] if passed else "")
    step.append("Next: ").append(command, style=_ACCENT)
    return Group(bar, Text(tally(report), style="bold"), step)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=7, max_width=12)
    grid.add_column(overflow="fold")
    return grid


def _label(text: str) -> Text:
    return Text(text, style="dim")
