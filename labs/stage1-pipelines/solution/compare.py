"""Step 5: three models side by side, and a model without a head that was trained. Writes out/comparison.json.

labctl exec stage1-pipelines -- python compare.py
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import models
import sample
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


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
    classifier = pipeline("text-classification", model=path, truncation=True)
    rows, (first, turned) = sample.labelled(), classifier([sample.PRODUCT, sample.TURNED])
    began = time.perf_counter()
    right = [models.verdict(classifier(row["text"])[0]["label"]) == row["label"] for row in rows]
    seconds = time.perf_counter() - began
    by_kind = {}
    for kind in sample.KINDS:
        found = [hit for hit, row in zip(right, rows, strict=True) if row["kind"] == kind]
        by_kind[kind] = sum(found) / len(found)
    weights = list(classifier.model.parameters())
    return {
        "label": models.verdict(first["label"]),
        "score": first["score"],
        "turned": models.verdict(turned["label"]),
        "accuracy": sum(right) / len(right),
        "by_kind": by_kind,
        "parameters": sum(weight.numel() for weight in weights),
        "bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        "ms_per_text": 1000 * seconds / len(rows),
    }


def untrained() -> dict[str, object]:
    """models.BARE, loaded twice as a classifier with two labels:

    missing  names of the weights that the file does not have (from_pretrained(…, output_loading_info=True) tells), sorted
    scores   the probability of label 0 for sample.PRODUCT, of the first and of the second load
    """
    inputs = AutoTokenizer.from_pretrained(models.BARE)(sample.PRODUCT, return_tensors="pt")
    missing, scores = set(), []
    for _ in range(2):
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            models.BARE, num_labels=2, output_loading_info=True
        )
        missing |= set(loading["missing_keys"])
        with torch.no_grad():
            scores.append(float(model(**inputs).logits.softmax(dim=-1)[0, 0]))
    return {"missing": sorted(missing), "scores": scores}


def main() -> None:
    compared = {name: measure(path) for name, path in models.SENTIMENT.items()}
    Path("out").mkdir(exist_ok=True)
    Path("out/comparison.json").write_text(json.dumps({**compared, "untrained": untrained()}, indent=2))
    print(Path("out/comparison.json").read_text())


if __name__ == "__main__":
    main()
