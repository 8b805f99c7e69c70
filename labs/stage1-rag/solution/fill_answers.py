"""Writes answers.yaml from what was measured. Only the solution has it: a learner reads it off.

With --measure it runs neighbours.py and measure.py first, in one process: the embedding model is loaded once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

OUT = Path("out")


def main() -> None:
    if "--measure" in sys.argv:
        import measure
        import neighbours

        neighbours.main()
        measure.main()
    found = json.loads((OUT / "neighbours.json").read_text())
    rows = {(row["size"], row["overlap"]): row for row in json.loads((OUT / "grid.json").read_text())}
    plain, lapped, large = rows[60, 0], rows[60, 20], rows[180, 60]
    questions = 28
    answers = {
        "neighbours": {
            "better_for_paraphrases": max(found["paraphrases"], key=found["paraphrases"].get),
            "better_for_codes": max(found["codes"], key=found["codes"].get),
        },
        "chunks": {
            "size": 60,
            "overlap": 20,
            "extra_chunks_percent": round(100 * (lapped["chunks"] / plain["chunks"] - 1), 1),
            "prompt_ratio": round(large["words_at_3"] / lapped["words_at_3"], 2),
            "lost_without_overlap": round(questions * (lapped["recall_at_3"] - plain["recall_at_3"])),
        },
    }
    Path("answers.yaml").write_text(json.dumps(answers, indent=2))  # JSON is YAML


if __name__ == "__main__":
    main()
