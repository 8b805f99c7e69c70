"""Matchers: what a value seen in the learner's work should be. Used by every check that compares something."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import Model
from labctl.checks.pattern import Pattern, matching

JsonType = Literal["string", "number", "integer", "boolean", "object", "array", "null"]
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


class Match(Model):
    """Every matcher given must hold. Numbers compare as numbers; NaN matches nothing."""

    equals: Any = None
    """The value is exactly this JSON value."""
    one_of: list[Any] | None = None
    """The value is one of these."""
    contains: str | list[str] | None = None
    """A string that holds each of these (or a list that holds each as an item)."""
    excludes: str | list[str] | None = None
    """None of these occurs."""
    matches: Pattern | None = None
    """A regular expression found somewhere in the value's text."""
    type: JsonType | None = None
    """The JSON type of the value."""
    gt: float | None = None
    """A number greater than this."""
    ge: float | None = None
    """A number, this or greater."""
    lt: float | None = None
    """A number less than this."""
    le: float | None = None
    """A number, this or less."""
    approx: float | None = None
    """The number, give or take `tolerance`."""
    tolerance: float = Field(default=0.01, ge=0)
    """Relative to `approx`: 0.01 is one per cent."""
    min_length: int | None = Field(default=None, ge=0)
    """A text, list or object at least this long."""
    max_length: int | None = Field(default=None, ge=0)
    """A text, list or object at most this long."""

    @model_validator(mode="after")
    def _says_something(self) -> Match:
        if not (self.model_fields_set - {"tolerance"}):
            raise ValueError("a matcher must say what it wants, for example equals, contains, matches, gt or approx")
        return self

    def unmet(self, value: Any) -> list[str]:
        """What is wanted and not so, in words; empty when `value` matches. Raises Unmet when `matches` takes too long."""
        wanted = [self._equality(value), *self._text(value), *self._number(value), *self._shape(value)]
        return [text for text in wanted if text]

    def wanted(self) -> dict[str, Any]:
        """The matchers that were given, for a report's `expected`."""
        return self.model_dump(exclude_unset=True, mode="json")

    def _equality(self, value: Any) -> str:
        if "equals" in self.model_fields_set and not _same(value, self.equals):
            return f"equal to {self.equals!r}"
        if self.one_of is not None and not any(_same(value, item) for item in self.one_of):
            return f"one of {self.one_of!r}"
        return ""

    def _text(self, value: Any) -> list[str]:
        """What is not there (null) has no text: it does not even lack a word."""
        text = value if isinstance(value, str | list) else "" if value is None else str(value)
        unmet = [f"containing {part!r}" for part in _strings(self.contains) if part not in text]
        unmet += [f"without {part!r}" for part in _strings(self.excludes) if value is None or part in text]
        if self.matches is not None and (value is None or not matching(self.matches, [str(text)])):
            unmet.append(f"matching /{self.matches}/")
        return unmet

    def _number(self, value: Any) -> list[str]:
        bounds = {">": self.gt, ">=": self.ge, "<": self.lt, "<=": self.le}
        wanted = {sign: bound for sign, bound in bounds.items() if bound is not None}
        if not wanted and self.approx is None:
            return []
        number = as_number(value)
        unmet = [
            f"{sign} {bound:g}" for sign, bound in wanted.items() if number is None or not _holds(number, sign, bound)
        ]
        if self.approx is not None and (number is None or not close(number, self.approx, self.tolerance)):
            unmet.append(f"{self.approx:g} ± {self.tolerance:.3g} of it")
        return unmet

    def _shape(self, value: Any) -> list[str]:
        unmet = []
        if self.type is not None and not _is_type(value, self.type):
            unmet.append(f"of type {self.type}")
        length = len(value) if isinstance(value, str | list | dict) else None
        if self.min_length is not None and (length is None or length < self.min_length):
            unmet.append(f"at least {self.min_length} long")
        if self.max_length is not None and (length is None or length > self.max_length):
            unmet.append(f"at most {self.max_length} long")
        return unmet


def as_number(value: Any) -> float | None:
    """`value` as a finite number, or None: a bool, a word and NaN are no numbers; "0.5" is."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def close(value: float, wanted: float, tolerance: float) -> bool:
    """Whether `value` lies within `tolerance` (a share of `wanted`; absolute when `wanted` is 0)."""
    return abs(value - wanted) <= tolerance * (abs(wanted) or 1.0) + 1e-12


def _same(value: Any, wanted: Any) -> bool:
    """Equality of JSON values: to Python True is 1, also within lists and objects."""
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in wanted)
    return bool(value == wanted)


def _holds(value: float, sign: str, bound: float) -> bool:
    return {">": value > bound, ">=": value >= bound, "<": value < bound, "<=": value <= bound}[sign]


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _strings(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
