"""Writes answers.yaml from what was measured. Only the solution has it: a learner works it out."""

from __future__ import annotations

import json
from pathlib import Path

OUT = Path("out")


def main() -> None:
    ann = json.loads((OUT / "ann.json").read_text())
    models = json.loads((OUT / "models.json").read_text())
    whole, *rest = ann
    enough = next(row for row in rest if row["recall"] >= 0.9)
    answers = {
        "predictions": {"cosine_a_b": 0.96, "cosine_10a_b": 0.96, "dot_10a_b": 240, "euclidean_if_unit": 0.5},
        "ann": {
            "smallest_ef_for_90": enough["ef_search"],
            "saved_percent": round(100 * (1 - enough["distances"] / whole["distances"]), 1),
        },
        "models": {
            "speedup_of_static": round(models["full"]["milliseconds"] / models["static"]["milliseconds"], 1),
            "lost_needs_points": round(100 * (models["full"]["recall_needs"] - models["static"]["recall_needs"]), 1),
            "shop_search": "full",
            "type_ahead": "static",
        },
    }
    Path("answers.yaml").write_text(json.dumps(answers, indent=2))  # JSON is YAML


if __name__ == "__main__":
    main()
