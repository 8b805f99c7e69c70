"""Step 2: two stages. The embedder finds candidates, the cross-encoder puts them in order. Written to out/rerank.json.

labctl exec stage2-context -- python rerank.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import corpus
import scoring

OUT = Path("out")
CANDIDATES = 12
MEASURED = 16


def retrieve(question: str, texts: Sequence[str], k: int) -> list[int]:
    """The indices of the k texts that the embedder finds nearest, best first."""
    raise NotImplementedError("step 2: retrieve in rerank.py is yours to write")


def rerank(question: str, texts: Sequence[str], candidates: Sequence[int]) -> list[int]:
    """The same candidates (indices into texts), in the order of the cross-encoder, best first. Nothing else is scored."""
    raise NotImplementedError("step 2: rerank in rerank.py is yours to write")


def ndcg(order: Sequence[int], relevant: int) -> float:
    """nDCG of a ranking with one relevant index: 1 / log2(rank + 1), rank from 1; 0 when it is not there."""
    raise NotImplementedError("step 2: ndcg in rerank.py is yours to write")


def main() -> None:
    passages = sorted(question.paragraph for question in corpus.questions())
    found = {"first_retrieved": 0.0, "first_reranked": 0.0, "ndcg_retrieved": 0.0, "ndcg_reranked": 0.0, "ceiling": 0.0}
    for question in corpus.questions()[:MEASURED]:
        candidates = retrieve(question.text, passages, CANDIDATES)
        # Yours: rerank, and add this question's part to each figure, so that in the end they are means over all MEASURED:
        #   first_…   the share whose right passage comes first       ndcg_…   the mean nDCG
        #   ceiling   the share whose right passage is among the candidates at all: no reranker can do better
        raise NotImplementedError("step 2: the loop in rerank.py is yours to write")
    OUT.mkdir(exist_ok=True)
    (OUT / "rerank.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
