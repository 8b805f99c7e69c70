"""`latency`: how long answers take."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, Duration, NonEmpty, Unmet
from labctl.checks.contention import Machine, Meter, Reading
from labctl.checks.match import Match
from labctl.checks.source import CallFields
from labctl.checks.streaming import first_token_s
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target, Unreachable


class Peer(CallFields):
    """Another endpoint, to compare with."""

    service: NonEmpty
    """The service that is asked."""


class LatencyCheck(CallFields, BaseCheck):
    """A percentile of the time that answers take, or of the time to the first token, against a limit or another endpoint.

    A limit that is missed while others used the machine is no failure but an error: it is to be measured again.
    """

    kind: Literal["latency"] = "latency"
    alone: bool = True
    """Look while no other check is looking: others would be measured too."""
    timeout: Duration = 120.0
    """Seconds for all repeats together; twice as long as they take leaves room for more on a busy machine."""
    service: NonEmpty
    """The service that is asked. `$input` in path, body and prompt stands for a number that no other request has, against
    answers out of a cache."""
    of: Literal["total", "ttft"] = "total"
    """What is timed: the whole answer; or, with `chat`, the first piece of text of a streamed reply."""
    requests: int = Field(default=20, ge=1, le=10_000)
    """Requests in each repeat."""
    concurrency: int = Field(default=1, ge=1, le=64)
    """How many are sent at the same time, in waves of so many."""
    repeats: int = Field(default=3, ge=1, le=50)
    """How often the requests are repeated; the repeat with the least percentile counts. More are made, while there is time,
    as long as the machine is contended and the limits are missed."""
    percentile: float = Field(default=95, gt=0, le=100)
    """Which percentile: the least time that this share of the requests, in per cent, did not exceed."""
    value: Match | None = None
    """What the percentile must be, in seconds."""
    against: Peer | None = None
    """Another endpoint, asked in turns with this one, a wave each."""
    ratio: Match | None = None
    """What this endpoint's percentile divided by that of `against` must be."""
    tolerance: float = Field(default=0.0, ge=0, le=1)
    """By what share the limits of `value` and `ratio` are widened: 0.2 lets `le: 0.5` pass at 0.6."""

    @model_validator(mode="after")
    def _can_be_measured(self) -> LatencyCheck:
        if self.value is None and self.ratio is None:
            raise ValueError("say what must hold: value, or against and ratio")
        if (self.against is None) != (self.ratio is None):
            raise ValueError("against and ratio go together")
        if self.of == "ttft" and any(call.chat is None for call in self._calls()):
            raise ValueError("ttft is measured on a streamed chat completion; give chat")
        return self

    def look(self, target: Target) -> CheckResult:
        return self.measured(target, Machine())

    def measured(self, target: Target, meter: Meter) -> CheckResult:
        """The result, with `meter` to tell whether the machine was contended."""
        deadline = time.monotonic() + self.timeout
        before, repeats = meter.read(), list[Repeat]()
        while len(repeats) < self.repeats or self._is_worth_another(repeats, deadline):
            started = time.monotonic()
            times = self._repeat(target, deadline)
            after = meter.read()
            if times is None:
                break
            took_s = time.monotonic() - started
            repeats.append(Repeat(percentiles=times, took_s=took_s, readings=(before, after)))
            before = after
        return self._judged(repeats, before)

    def _is_worth_another(self, repeats: Sequence[Repeat], deadline: float) -> bool:
        """Whether only contention can be the reason for a miss, and there is time to find out."""
        hopeful = not any(repeat.quiet for repeat in repeats) and self._unmet(repeats) != []
        return hopeful and time.monotonic() + 1.5 * repeats[-1].took_s < deadline

    def _repeat(self, target: Target, deadline: float) -> list[float] | None:
        """The percentile of this endpoint and, where there is one, of the other; None when the time is over."""
        taken: list[list[float]] = [[] for _ in self._calls()]
        with ThreadPoolExecutor(self.concurrency) as pool:
            for sent in range(0, self.requests, self.concurrency):
                wave = min(self.concurrency, self.requests - sent)
                for call, times in zip(self._calls(), taken, strict=True):
                    try:
                        times += pool.map(lambda _, call=call: self._once(target, call, deadline), range(wave))
                    except (_TimeIsOver, Unreachable) as error:
                        if isinstance(error, Unreachable) and time.monotonic() < deadline:
                            raise
                        return None
        return [nearest_rank(times, self.percentile) for times in taken]

    def _once(self, target: Target, call: LatencyCheck | Peer, deadline: float) -> float:
        """Seconds that one request took."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TimeIsOver
        number = str(uuid.uuid4().int % 10**12)
        if self.of == "ttft":
            return first_token_s(target, call.request_to(call.service, number, left, stream=True))
        if call.chat is not None:
            return call.reply(target, call.service, number, left).latency_s
        return call.response(target, call.service, number, left).duration_s

    def _calls(self) -> list[LatencyCheck | Peer]:
        return [self] if self.against is None else [self, self.against]

    def _figures(self, repeats: Sequence[Repeat]) -> list[float]:
        """Seconds of this endpoint at its best and, where there is another, their ratio with that one at its best."""
        best = [min(times) for times in zip(*(repeat.percentiles for repeat in repeats), strict=True)]
        return best if len(best) == 1 else [best[0], best[0] / max(best[1], 1e-9)]

    def _unmet(self, repeats: Sequence[Repeat]) -> list[str]:
        figures = dict(zip(("seconds", "ratio"), self._figures(repeats), strict=False))
        unmet = []
        if self.value is not None:
            unmet += [f"{text} s" for text in widened(self.value, self.tolerance).unmet(figures["seconds"])]
        if self.ratio is not None:
            unmet += [f"a ratio {text}" for text in widened(self.ratio, self.tolerance).unmet(figures["ratio"])]
        return unmet

    def _judged(self, repeats: Sequence[Repeat], last: Reading) -> CheckResult:
        if not repeats and last.quiet:
            raise Unmet(
                f"{self.requests} requests at {self.service} took more than the {self.timeout:g}s they may take"
            )
        if not repeats:
            raise CannotLook(_contended(last, f"{self.requests} requests took more than {self.timeout:g}s"))
        figures, unmet = self._figures(repeats), self._unmet(repeats)
        text = f"p{self.percentile:g} of {self.service}'s {_TIMED[self.of]} is {figures[0]:.3g} s"
        if self.against is not None:
            text += f", {figures[1]:.3g} times that of {self.against.service}{self.against.path or ''}"
        quiet = any(repeat.quiet for repeat in repeats)
        seen = {"p_s": [[round(s, 4) for s in repeat.percentiles] for repeat in repeats], "contended": not quiet}
        if not unmet:
            return self.passed(text, expected=self._wanted(), actual=seen)
        if not quiet:
            raise CannotLook(_contended(repeats[-1].busier, text))
        widened_by = f" (with {self.tolerance:.0%} of tolerance)" if self.tolerance else ""
        return self.failed(f"{text}; wanted {' and '.join(unmet)}{widened_by}", expected=self._wanted(), actual=seen)

    def _wanted(self) -> dict[str, Any]:
        wanted = {"value": self.value, "ratio": self.ratio}
        return {name: match.wanted() for name, match in wanted.items() if match is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One repeat: seconds of each endpoint's percentile, and the machine right before and after."""

    percentiles: Sequence[float]
    took_s: float
    readings: tuple[Reading, Reading]

    @property
    def quiet(self) -> bool:
        return all(reading.quiet for reading in self.readings)

    @property
    def busier(self) -> Reading:
        return max(self.readings, key=lambda reading: (not reading.quiet, reading.busy, reading.stretch))


class _TimeIsOver(Exception):
    """The check's time ended before the repeat did."""


def nearest_rank(times: Sequence[float], percentile: float) -> float:
    """The least of `times` that at least `percentile` per cent of them do not exceed.

    >>> nearest_rank([0.4, 0.1, 0.3, 0.2], 50), nearest_rank([0.4, 0.1, 0.3, 0.2], 95)
    (0.2, 0.4)
    """
    rank = math.ceil(round(percentile * len(times) / 100, 9))
    return sorted(times)[max(rank, 1) - 1]


def widened(match: Match, tolerance: float) -> Match:
    """The matcher with its bounds moved outwards by a share of each.

    >>> widened(Match(le=0.5, ge=0.1), 0.2).wanted()
    {'ge': 0.08, 'le': 0.6}
    """
    factors = {"lt": 1 + tolerance, "le": 1 + tolerance, "gt": 1 - tolerance, "ge": 1 - tolerance}
    bounds = {name: getattr(match, name) for name in factors}
    moved = {name: round(bound * factors[name], 12) for name, bound in bounds.items() if bound is not None}
    return match.model_copy(update=moved)


_TIMED = {"total": "answers", "ttft": "time to the first token"}


def _contended(reading: Reading, seen: str) -> str:
    return f"the machine was contended ({reading}): measure again when it is quiet; seen: {seen}"
