"""Prints what the learner's functions give for what stands on stdin. Runs in the session, without models.

    python -B functions.py < {"part": "window" | "rerank" | "compress", …}

tokens and scoring are replaced: a token is a word, and a text's score stands in the text itself, "<embedding>:<reranker>" as its
last word. So what is right can be worked out, and it is seen which texts were scored by which model.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

scored: dict[str, list[str]] = {"by_embedding": [], "by_reranker": []}


def fake_tokens() -> types.ModuleType:
    module = types.ModuleType("tokens")
    module.count = lambda text: len(text.split())  # type: ignore[attr-defined]
    module.cut = lambda text, limit: " ".join(text.split()[:limit])  # type: ignore[attr-defined]
    return module


def fake_scoring() -> types.ModuleType:
    def scores(name: str, place: int) -> Any:
        def of(_: str, texts: Any) -> list[float]:
            scored[name] += list(texts)
            return [float(text.split()[-1].rstrip(".").split(":")[place]) for text in texts]

        return of

    module = types.ModuleType("scoring")
    module.by_embedding = scores("by_embedding", 0)  # type: ignore[attr-defined]
    module.by_reranker = scores("by_reranker", 1)  # type: ignore[attr-defined]
    return module


def window(given: dict[str, Any]) -> dict[str, Any]:
    import window as written

    plans = []
    for case in given["plans"]:
        try:
            plans.append(written.plan(case.pop("window"), **case))
        except ValueError as error:
            plans.append({"refused": str(error)})
    return {"fits": [list(written.fit(texts, budget)) for texts, budget in given["fits"]], "plans": plans}


def rerank(given: dict[str, Any]) -> dict[str, Any]:
    import rerank as written

    found = [int(index) for index in written.retrieve("?", given["texts"], given["k"])]
    scored["by_reranker"].clear()
    order = [int(index) for index in written.rerank("?", given["texts"], given["candidates"])]
    return {
        "retrieved": found,
        "reranked": order,
        "read": list(scored["by_reranker"]),
        "ndcg": [float(written.ndcg(ranking, relevant)) for ranking, relevant in given["rankings"]],
    }


def compress(given: dict[str, Any]) -> dict[str, Any]:
    import compress as written
    import corpus

    sections = [corpus.Section(one["title"], tuple(one["paragraphs"])) for one in given["sections"]]
    found = list(written.drill_down("?", sections, tuple(given["keep"])))
    return {"found": found, "read": scored["by_reranker"]}


sys.modules |= {"tokens": fake_tokens(), "scoring": fake_scoring()}
sys.path.insert(0, str(Path.cwd()))
given = json.load(sys.stdin)
print(json.dumps({"window": window, "rerank": rerank, "compress": compress}[given["part"]](given)))
