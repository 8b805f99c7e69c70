"""Step 4: what a model does beyond its card: a text that is too long, a language it does not have. Writes out/limits.json.

labctl exec stage1-pipelines -- python limits.py
"""

from __future__ import annotations

import json
from pathlib import Path

import models
import sample
from transformers import pipeline


def beyond_the_context(path: str) -> dict[str, object]:
    """The model at `path` and sample.long_review():

    tokens        of the whole review, special tokens included
    read          of those, how many the model is given when the tokenizer cuts (truncation)
    unread        the text that it never sees: from the first character that was cut off to the end
    label         what it says of the review, cut (POSITIVE, NEGATIVE or NEUTRAL)
    label_of_end  what it says of the last sentence alone
    """
    text, ending = sample.long_review()
    classifier = pipeline("text-classification", model=path, truncation=True)
    whole = classifier.tokenizer(text, truncation=False, verbose=False).input_ids
    cut = classifier.tokenizer(text, truncation=True, return_offsets_mapping=True)
    seen = max(end for _, end in cut.offset_mapping)
    return {
        "tokens": len(whole),
        "read": len(cut.input_ids),
        "unread": text[seen:].strip(),
        "label": models.verdict(classifier(text)[0]["label"]),
        "label_of_end": models.verdict(classifier(ending)[0]["label"]),
    }


def german_accuracy(path: str) -> float:
    """The share of sample.german() that the model at `path` labels rightly."""
    rows = sample.german()
    classifier = pipeline("text-classification", model=path, truncation=True)
    found = [models.verdict(answer["label"]) for answer in classifier([row["text"] for row in rows])]
    return sum(label == row["label"] for label, row in zip(found, rows, strict=True)) / len(rows)


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
