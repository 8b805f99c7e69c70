"""Prometheus' text format and the arithmetic of its query language that checks need. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from labctl.checks.base import Unmet

Sample = tuple[str, Mapping[str, str], float]


def parse(text: str) -> list[Sample]:
    """Every sample of an exposition as (name, labels, value). Raises Unmet when it is none."""
    from prometheus_client.parser import text_string_to_metric_families  # 30 ms that other checks need not wait for

    try:
        families = list(text_string_to_metric_families(text))
    except Exception as error:  # noqa: BLE001 what the parser makes of a learner's text is not all foreseen by it
        raise Unmet(f"not Prometheus' text format: {error}") from None
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def named(samples: Sequence[Sample], metric: str, labels: Mapping[str, str]) -> list[Sample]:
    """The samples of `metric` that bear `labels` among theirs. A counter is found with and without its `_total`."""
    exact = [sample for sample in samples if sample[0] == metric]
    found = exact or [sample for sample in samples if sample[0] == f"{metric}_total"]
    return [sample for sample in found if labels.items() <= sample[1].items()]


def quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float:
    """The `q`-quantile (0 to 1) of cumulative buckets (upper bound, count), NaN without observations or a +Inf bucket.

    The formula is Prometheus' histogram_quantile: linear within a bucket, the first of which begins at 0 when its upper
    bound is positive; a quantile in the +Inf bucket is the highest finite bound (promql/quantile.go, bucketQuantile).

    >>> quantile(0.5, [(1.0, 2.0), (2.0, 4.0), (math.inf, 4.0)]), quantile(0.75, [(1.0, 2.0), (2.0, 4.0), (math.inf, 4.0)])
    (1.0, 1.5)
    """
    ordered = _merged(buckets)
    if len(ordered) < 2 or ordered[-1][0] != math.inf or not 0 < ordered[-1][1] < math.inf:
        return math.nan
    rank = q * ordered[-1][1]
    index = next(i for i, (_, count) in enumerate(ordered) if count >= rank)
    if index == len(ordered) - 1:
        return ordered[-2][0]
    end, count = ordered[index]
    if index == 0 and end <= 0:
        return end
    start, before = ordered[index - 1] if index else (0.0, 0.0)
    return end if count == before else start + (end - start) * (rank - before) / (count - before)


def _merged(buckets: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """One bucket a bound, in order, its count never below the one before it (rounding, or a scrape half way)."""
    sums: dict[float, float] = {}
    for bound, count in buckets:
        sums[bound] = sums.get(bound, 0.0) + count
    merged, highest = [], 0.0
    for bound in sorted(sums):
        highest = max(highest, sums[bound])
        merged.append((bound, highest))
    return merged
