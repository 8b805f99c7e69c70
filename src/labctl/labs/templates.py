"""Jinja2 expressions in lab files: sandboxed, bounded, and an undefined name is an error.

Names, a few filters, arithmetic, and calls of the functions that labctl hands in: what a lab file needs. No statements, no
methods, no other filters: they are how an expression of a few characters takes hours, or all memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import FunctionType
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from labctl.labs.source import Loc

MAX_TEMPLATE_CHARS = 10_000
MAX_RENDERED_CHARS = 100_000
MAX_NUMBER = 10**30
_FILTERS = ("default", "d", "float", "int", "length", "lower", "round", "string", "title", "trim", "upper")


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
    if "{%" in text:
        raise BadTemplate(
            loc, f"{_brief(text)}: statements ({{% … %}}) are not accepted, only expressions ({{{{ … }}}})"
        )
    try:
        rendered = _compile(text)(**context)
    except TemplateError as error:
        names = ", ".join(sorted(context))
        raise BadTemplate(loc, f"{error.message} in {_brief(text)} (defined: {names})") from error
    except (
        Exception
    ) as error:  # what Jinja2 and Python's compiler make of a strange template is not all listed anywhere
        raise BadTemplate(loc, f"{_brief(text)} cannot be rendered: {error or type(error).__name__}") from error
    if len(rendered) > MAX_RENDERED_CHARS:
        raise BadTemplate(loc, f"{_brief(text)} becomes longer than {MAX_RENDERED_CHARS} characters")
    return rendered


def _brief(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")


@lru_cache(maxsize=4096)
def _compile(text: str) -> Callable[..., str]:
    return _environment().from_string(text).render


@lru_cache(maxsize=1)
def _environment() -> _Expressions:
    environment = _Expressions(undefined=StrictUndefined, autoescape=False)
    environment.globals = {}  # no range(), cycler() …: a lab file needs names, not programs
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    return environment


class _Expressions(ImmutableSandboxedEnvironment):
    """Calls only what labctl hands in, and computes nothing large."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def wrap_str_format(self, value: Any) -> Any:
        """`'{:>999999999}'.format(1)` is a gigabyte: the sandbox's own wrapper of it is not wanted either."""
        if getattr(value, "__name__", "") in ("format", "format_map"):
            raise SecurityError("methods are not accepted")

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, FunctionType)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        size = _size(operator, left, right)
        if size is None:
            raise TypeError(f"{operator} takes numbers (a text may be repeated: 'ab' * 3)")
        if size > MAX_RENDERED_CHARS:
            raise ValueError(f"the result of {operator} is too large")
        return super().call_binop(context, operator, left, right)


def _size(operator: str, left: Any, right: Any) -> float | None:
    """At least how many characters the result has, infinity for a number out of bounds; None for other operands."""
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if operator == "*" and isinstance(left, str | int) and isinstance(right, str | int) and not numbers:
        text, times = (left, right) if isinstance(left, str) else (right, left)
        return len(text) * times if isinstance(text, str) and isinstance(times, int) else None
    if not numbers:
        return None
    large = max(abs(left), abs(right)) > MAX_NUMBER or (operator == "**" and abs(right) > 100)
    return float("inf") if large else 0
