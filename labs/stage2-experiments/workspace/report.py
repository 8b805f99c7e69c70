"""Given, for step 6: writes out/report.md, the teams that the classifier mixes up most, out of out/predictions.csv.

    python report.py
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import yaml

OUT = Path("out")


def main() -> None:
    shown = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["report"]["confusions"]
    with (OUT / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mixed_up = Counter((row["team"], row["predicted"]) for row in rows if row["team"] != row["predicted"])
    lines = [f"- {team} taken for {predicted}: {count}" for (team, predicted), count in mixed_up.most_common(shown)]
    (OUT / "report.md").write_text("\n".join(["# Mixed up", "", *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
