"""Jinja2 templates in lab files: sandboxed, and an undefined name is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from labctl.labs.source import Loc

MAX_TEMPLATE_CHARS = 10_000


class BadTemplate(Exception):
    """A template that cannot be rendered; `loc` is its path in the file."""

    def __init__(self, loc: Loc, why: str) -> None:
        super().__init__(why)
        self.loc = loc
        self.why = why


def render(value: Any, context: Mapping[str, Any], loc: Loc = ()) -> Any:
    """`value` with every string in it rendered; keys stay as they are. Raises BadTemplate."""
    if isinstance(value, str):
        return _render_text(value, context, loc)
    if isinstance(value, dict):
        return {key: render(item, context, (*loc, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render(item, context, (*loc, index)) for index, item in enumerate(value)]
    return value


def _render_text(text: str, context: Mapping[str, Any], loc: Loc) -> str:
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    if len(text) > MAX_TEMPLATE_CHARS:
        raise BadTemplate(loc, f"a template of {len(text)} characters; at most {MAX_TEMPLATE_CHARS} are accepted")
    try:
        return _compile(text)(**context)
    except TemplateError as error:
        names = ", ".join(sorted(context))
        raise BadTemplate(loc, f"{error.message} in {text!r} (defined: {names})") from error
    except (ArithmeticError, TypeError, ValueError, LookupError, MemoryError) as error:
        raise BadTemplate(loc, f"{text!r} cannot be rendered: {error}") from error


@lru_cache(maxsize=4096)
def _compile(text: str) -> Callable[..., str]:
    return _environment().from_string(text).render


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals = {}  # no range(), cycler() …: a lab file needs names, not programs
    return environment
