"""Answers of Prometheus' query API as values. What is none of them says nothing about the learner's work: CannotLook."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from labctl.target import CannotLook, Response

T = TypeVar("T")
Labels = Mapping[str, str]
Series = Sequence[tuple[Labels, float]]
"""Labels and value of each series at one moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a query came to at one step of a range; no series when it had no result. `at` is a Unix time."""

    at: float
    series: Series

    def __str__(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).strftime("%H:%M:%S")


def instant(response: Response) -> Series:
    """The series of an instant query's answer."""
    return _read(response, _instant)


def moments(response: Response, start: float, end: float, step: float) -> list[Moment]:
    """Every step of a range query's answer, in order, those without a result included."""
    return _read(response, lambda kind, result: _moments(kind, result, start, end, step))


def spans(held: Sequence[Moment], step: float) -> list[str]:
    """The times of moments in words; those that follow each other, `step` seconds apart, are one span.

    >>> spans([Moment(at=float(at), series=[]) for at in (0, 5, 10, 60)], 5)
    ['from 00:00:00 to 00:00:10', 'at 00:01:00']
    """
    found: list[list[Moment]] = []
    for moment in held:
        if found and moment.at - found[-1][-1].at < 1.5 * step:
            found[-1].append(moment)
        else:
            found.append([moment])
    return [f"from {span[0]} to {span[-1]}" if len(span) > 1 else f"at {span[0]}" for span in found]


def _read(response: Response, parse: Callable[[str, Any], T]) -> T:
    if response.truncated:
        raise CannotLook(f"the result is larger than {len(response.body)} bytes; ask for fewer series or steps")
    try:
        answer = json.loads(response.body)
        if answer["status"] != "success":
            raise CannotLook(f"Prometheus refused the query: {answer.get('error')}")
        return parse(answer["data"]["resultType"], answer["data"]["result"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise CannotLook(f"no answer of a Prometheus server (status {response.status}): {error}") from error


def _instant(kind: str, result: Any) -> Series:
    if kind == "scalar":
        return [({}, _number(result[1]))]
    if kind == "vector":
        return [(dict(item["metric"]), _number(item["value"][1])) for item in result]
    raise CannotLook(f"the query's result is a {kind}; ask for a vector or a scalar")


def _moments(kind: str, result: Any, start: float, end: float, step: float) -> list[Moment]:
    if kind != "matrix":
        raise CannotLook(f"the query's result over time is a {kind}; ask for a vector or a scalar")
    steps: list[list[tuple[Labels, float]]] = [[] for _ in range(math.floor((end - start) / step + 1e-6) + 1)]
    for item in result:
        labels = dict(item["metric"])
        for at, text in item["values"]:
            number = round((at - start) / step)
            if number < 0:
                raise IndexError("a value from before the time asked for")
            steps[number].append((labels, _number(text)))
    return [Moment(at=start + number * step, series=series) for number, series in enumerate(steps)]


def _number(text: Any) -> float:
    return math.nan if text == "NaN" else float(text)
