"""Step 2: two stages. The embedder finds candidates, the cross-encoder puts them in order. Written to out/rerank.json.

labctl exec stage2-context -- python rerank.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import corpus
import scoring

OUT = Path("out")
CANDIDATES = 12
MEASURED = 16


def retrieve(question: str, texts: Sequence[str], k: int) -> list[int]:
    """The indices of the k texts that the embedder finds nearest, best first."""
    scores = scoring.by_embedding(question, texts)
    return sorted(range(len(texts)), key=lambda index: -scores[index])[:k]


def rerank(question: str, texts: Sequence[str], candidates: Sequence[int]) -> list[int]:
    """The same candidates (indices into texts), in the order of the cross-encoder, best first. Nothing else is scored."""
    scores = scoring.by_reranker(question, texts)
    return sorted(candidates, key=lambda index: -scores[index])


def ndcg(order: Sequence[int], relevant: int) -> float:
    """nDCG of a ranking with one relevant index: 1 / log2(rank + 1), rank from 1; 0 when it is not there."""
    return 1 / math.log2(list(order).index(relevant) + 2) if relevant in order else 0.0


def main() -> None:
    passages = sorted(question.paragraph for question in corpus.questions())
    found = {"first_retrieved": 0.0, "first_reranked": 0.0, "ndcg_retrieved": 0.0, "ndcg_reranked": 0.0, "ceiling": 0.0}
    for question in corpus.questions()[:MEASURED]:
        candidates = retrieve(question.text, passages, CANDIDATES)
        better = rerank(question.text, passages, candidates)
        relevant = passages.index(question.paragraph)
        found["first_retrieved"] += (candidates[0] == relevant) / MEASURED
        found["first_reranked"] += (better[0] == relevant) / MEASURED
        found["ndcg_retrieved"] += ndcg(candidates, relevant) / MEASURED
        found["ndcg_reranked"] += ndcg(better, relevant) / MEASURED
        found["ceiling"] += (relevant in candidates) / MEASURED
    OUT.mkdir(exist_ok=True)
    (OUT / "rerank.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
