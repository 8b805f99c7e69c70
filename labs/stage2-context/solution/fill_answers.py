"""Writes answers.yaml from what was measured. Only the solution has it: a learner works it out.

With --measure it runs window.py and rerank.py first, in one process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

OUT = Path("out")
MEASURED, CANDIDATES, PASSAGES = 16, 12, 48


def main() -> None:
    if "--measure" in sys.argv:
        import rerank
        import window

        window.main()
        rerank.main()
    rows = json.loads((OUT / "window.json").read_text())
    found = json.loads((OUT / "rerank.json").read_text())
    at_512 = next(row for row in rows if row["window"] == 512)
    answers = {
        "window": {
            "first_to_go": "question",
            "naive_facts_at_512": round(100 * at_512["facts_naive"], 1),
            "window_for_all_facts": next((row["window"] for row in rows if row["facts_planned"] == 1), "none"),
        },
        "rerank": {
            "gain_in_first": round(found["first_reranked"] / found["first_retrieved"], 2),
            "pairs_read": MEASURED * CANDIDATES,
            "pairs_without_retriever": MEASURED * PASSAGES,
        },
    }
    Path("answers.yaml").write_text(json.dumps(answers, indent=2))  # JSON is YAML


if __name__ == "__main__":
    main()
