"""`retrieval`: whether what is found is what is relevant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from labctl.checks.cases import Case, CasesCheck, Scored, mean, read_cases
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target

Hits = Sequence[bool]
"""Of each result, best first, whether it is relevant: at most k of them, no result twice."""


class RetrievalCheck(CasesCheck):
    """Queries whose relevant documents are known: recall, precision, hit rate, MRR or nDCG of the first k results."""

    kind: Literal["retrieval"] = "retrieval"
    metric: Literal["recall", "precision", "hit", "mrr", "ndcg"] = "recall"
    """The mean over all queries of: recall, the share of the relevant that is found; precision, the share of k results that
    is relevant (too few results count as wrong ones); hit, 1 when any is relevant; mrr, 1 / rank of the first relevant one;
    ndcg, the binary nDCG. `select` gives the ids of the results, best first; each line of `cases` its `relevant: [ids]`."""
    k: int = Field(default=5, ge=1, le=1000)
    """How many results count; one that comes again does not."""

    def look(self, target: Target) -> CheckResult:
        cases = read_cases(self.lab, self.cases)
        bare = next((case for case in cases if not case.relevant), None)
        if bare is not None:
            raise CannotLook(f"the lab's {self.cases} names nothing relevant for {bare.input!r}")
        found = [self._ids(case, said) for case, said in zip(cases, self.asked(target, cases), strict=True)]
        scored = [
            Scored(case=case, said=ids, score=self._score(case, ids)) for case, ids in zip(cases, found, strict=True)
        ]
        return self.judged(f"{self.metric}@{self.k}", mean([one.score for one in scored]), scored)

    def _score(self, case: Case, ids: Sequence[str]) -> float:
        relevant = {str(id) for id in case.relevant}
        return _METRICS[self.metric]([id in relevant for id in ids], len(relevant), self.k)

    def _ids(self, case: Case, said: Any) -> list[str]:
        """The first k different ids. A single one needs no list around it."""
        ids = [said] if isinstance(said, str | int) and not isinstance(said, bool) else said
        if not isinstance(ids, list) or any(isinstance(id, bool) or not isinstance(id, str | int) for id in ids):
            raise self.nothing_in(case, said, "a list of ids")
        return list(dict.fromkeys(map(str, ids)))[: self.k]


def recall(hits: Hits, relevant: int) -> float:
    """The share of the `relevant` documents that is among the results.

    >>> recall([True, False, True], 4)
    0.5
    """
    return sum(hits) / relevant


def precision(hits: Hits, k: int) -> float:
    """The share of k results that is relevant, also when there are fewer.

    >>> precision([True, False, True], 4)
    0.5
    """
    return sum(hits) / k


def hit(hits: Hits) -> float:
    """1 when any result is relevant, else 0."""
    return float(any(hits))


def reciprocal_rank(hits: Hits) -> float:
    """1 / rank of the first relevant result, 0 without one.

    >>> reciprocal_rank([False, True, True])
    0.5
    """
    return next((1 / rank for rank, is_hit in enumerate(hits, start=1) if is_hit), 0.0)


def ndcg(hits: Hits, relevant: int, k: int) -> float:
    """Discounted cumulative gain, 1 / log2(rank + 1) for each relevant result, over the gain of the best order there is.

    Järvelin and Kekäläinen, 2002, with binary relevance.

    >>> ndcg([True, False], 1, 5), round(ndcg([False, True], 1, 5), 4)
    (1.0, 0.6309)
    """
    gains = (1 / math.log2(rank + 1) for rank, is_hit in enumerate(hits, start=1) if is_hit)
    ideal = (1 / math.log2(rank + 1) for rank in range(1, min(relevant, k) + 1))
    return math.fsum(gains) / math.fsum(ideal)


_METRICS: Mapping[str, Callable[[Hits, int, int], float]] = {
    "recall": lambda hits, relevant, _: recall(hits, relevant),
    "precision": lambda hits, _, k: precision(hits, k),
    "hit": lambda hits, *_: hit(hits),
    "mrr": lambda hits, *_: reciprocal_rank(hits),
    "ndcg": ndcg,
}
