"""Step 5: three models side by side, and a model without a head that was trained. Writes out/comparison.json.

labctl exec stage1-pipelines -- python compare.py
"""

from __future__ import annotations

import json
from pathlib import Path

import models
import sample


def measure(path: str) -> dict[str, object]:
    """The model at `path`, in one entry:

    label, score  what it says of sample.PRODUCT (POSITIVE, NEGATIVE or NEUTRAL, and the probability)
    turned        what it says of sample.TURNED
    accuracy      the share of sample.labelled() that it labels rightly
    by_kind       the same for each kind: {"plain": …, "negated": …, "contrast": …, "unforeseen": …}
    parameters    how many weights it has
    bytes         what they take: parameters × bytes of each
    ms_per_text   milliseconds for one text of sample.labelled(), one at a time, loading not counted
    """
    raise NotImplementedError("step 5: measure in compare.py is yours to write")


def untrained() -> dict[str, object]:
    """models.BARE, loaded twice as a classifier with two labels:

    missing  names of the weights that the file does not have (from_pretrained(…, output_loading_info=True) tells), sorted
    scores   the probability of label 0 for sample.PRODUCT, of the first and of the second load
    """
    raise NotImplementedError("step 5: untrained in compare.py is yours to write")


def main() -> None:
    compared = {name: measure(path) for name, path in models.SENTIMENT.items()}
    Path("out").mkdir(exist_ok=True)
    Path("out/comparison.json").write_text(json.dumps({**compared, "untrained": untrained()}, indent=2))
    print(Path("out/comparison.json").read_text())


if __name__ == "__main__":
    main()
