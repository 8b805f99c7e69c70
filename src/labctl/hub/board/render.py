"""Pages made of templates. Everything is escaped; nothing is inline that a strict policy forbids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from labctl.hub.board import words
from labctl.hub.board.base import board_of
from labctl.hub.board.guard import form_token
from labctl.hub.board.reading import Row
from labctl.hub.board.viewer import Viewer
from labctl.outcomes import Outcome
from labctl.reports.plain import one_line, plain
from labctl.reports.wording import SYMBOLS, brief
from labctl.store.records import iso
from labctl.units import format_duration

STATIC = Path(__file__).with_name("static")
TEMPLATES = Path(__file__).with_name("templates")
LANGUAGE_COOKIE = "labctl-language"
MARKS = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.ERROR: "could not be looked at",
    Outcome.SKIP: "skipped",
}


def page(request: Request, name: str, viewer: Viewer | None, status: int = 200, **values: Any) -> Response:
    """The whole page of the template `name`, or a part of one."""
    return HTMLResponse(part(request, name, viewer, **values), status)


def part(request: Request, name: str, viewer: Viewer | None, **values: Any) -> str:
    """What the template makes, as text."""
    board, language = board_of(request), language_of(request)
    return (
        _templates()
        .get_template(name)
        .render(
            lang=language,
            tag=words.TAGS[language],
            t=partial(words.say, language),
            base=board.prefix,
            hub=board.hub_prefix,
            cohort=board.room.cohort,
            viewer=viewer,
            path=request.url.path,
            csrf=form_token(board.secret, viewer.name) if viewer else "",
            static=_static_version(),
            is_part=bool(request.headers.get("hx-request")),
            **values,
        )
    )


def rows(request: Request, found: list[Row]) -> str:
    """The lines of a matrix, one after the other."""
    language, base = language_of(request), board_of(request).prefix
    line = _templates().get_template("row.html")
    t = partial(words.say, language)
    return "".join(line.render(row=each, base=base, cells=_cells(language, each.marks), t=t) for each in found)


def language_of(request: Request) -> words.Language:
    return words.preferred(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", ""))


def _cells(language: words.Language, marks: tuple[Outcome | None, ...]) -> Markup:
    return Markup("").join(_cell(language, mark) for mark in marks)


@cache
def _cell(language: words.Language, mark: Outcome | None) -> Markup:
    """A mark with its word for who cannot see it."""
    if mark is None:
        return Markup('<td class="m"></td>')
    word = escape(words.say(language, MARKS[mark]))
    return Markup('<td class="m {}"><i aria-hidden="true">{}</i><b>{}</b></td>').format(mark.value, SYMBOLS[mark], word)


@cache
def _static_version() -> str:
    """Changes with what browsers keep of the board, so that they fetch it anew."""
    files = sorted(path for path in STATIC.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


@cache
def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Callable[..., Any]] = {
        "plain": plain,
        "line": one_line,
        "brief": brief,
        "iso": iso,
        "clock": words.clock,
        "duration": format_duration,
    }
    found.filters |= filters
    found.globals |= {"SYMBOLS": SYMBOLS, "MARKS": MARKS, "LANGUAGES": words.LANGUAGES, "TAGS": words.TAGS}
    return found
