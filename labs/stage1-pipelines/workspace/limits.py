"""Step 4: what a model does beyond its card: a text that is too long, a language it does not have. Writes out/limits.json.

labctl exec stage1-pipelines -- python limits.py
"""

from __future__ import annotations

import json
from pathlib import Path

import models
import sample


def beyond_the_context(path: str) -> dict[str, object]:
    """The model at `path` and sample.long_review():

    tokens        of the whole review, special tokens included
    read          of those, how many the model is given when the tokenizer cuts (truncation)
    unread        the text that it never sees: from the first character that was cut off to the end
    label         what it says of the review, cut (POSITIVE, NEGATIVE or NEUTRAL)
    label_of_end  what it says of the last sentence alone
    """
    raise NotImplementedError("step 4: beyond_the_context in limits.py is yours to write")


def german_accuracy(path: str) -> float:
    """The share of sample.german() that the model at `path` labels rightly."""
    raise NotImplementedError("step 4: german_accuracy in limits.py is yours to write")


def main() -> None:
    measured = {
        name: {**beyond_the_context(path), "german": german_accuracy(path)} for name, path in models.SENTIMENT.items()
    }
    Path("out").mkdir(exist_ok=True)
    Path("out/limits.json").write_text(json.dumps(measured, indent=2, ensure_ascii=False))
    for name, values in measured.items():
        print(name, {**values, "unread": f"… {str(values['unread'])[-60:]}"})


if __name__ == "__main__":
    main()
