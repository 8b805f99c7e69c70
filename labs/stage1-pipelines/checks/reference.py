"""What is right, worked out again from the models themselves. Runs in the session as `python -I`; imports no learner's code."""

# ruff: noqa: E402 - what is left out has to be said before the imports

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))
sys.path.insert(0, str(Path(__file__).parent))

import sample
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline
from transformers.utils import logging

SENTIMENT = {name: os.environ[f"SENTIMENT_{name.upper()}"] for name in ("small", "medium", "large")}
LONGEST = 12


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    asked = json.load(sys.stdin)
    print(json.dumps({part: PARTS[part](given) for part, given in asked.items()}))


def by_hand(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: classifier(path)(asked["texts"]) for name, path in SENTIMENT.items()}


@torch.no_grad()
def own_pipeline(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    path = os.environ["ANSWERER"]
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForQuestionAnswering.from_pretrained(path)
    found = []
    for case in asked["questions"]:
        inputs = tokenizer(case["question"], case["context"], truncation="only_second", return_offsets_mapping=True)
        places, parts = inputs.pop("offset_mapping"), inputs.sequence_ids(0)
        out = model(**{name: torch.tensor([values]) for name, values in inputs.items()})
        allowed = [part == 1 for part in parts]
        first, last, score = best_span(out.start_logits[0].tolist(), out.end_logits[0].tolist(), allowed, LONGEST)
        start, end = places[first][0], places[last][1]
        found.append({"answer": case["context"][start:end], "start": start, "end": end, "score": score})
    return found


def best_span(
    begins: Sequence[float], ends: Sequence[float], allowed: Sequence[bool], longest: int
) -> tuple[int, int, float]:
    """Every span is tried."""
    first, last = probabilities(begins, allowed), probabilities(ends, allowed)
    best = (0, 0, -1.0)
    for start in range(len(first)):
        for end in range(start, min(start + longest, len(first))):
            if not allowed[end] or not allowed[start]:
                break
            if first[start] * last[end] > best[2]:
                best = (start, end, first[start] * last[end])
    return best


def probabilities(logits: Sequence[float], allowed: Sequence[bool]) -> list[float]:
    masked = torch.tensor(logits).masked_fill(~torch.tensor(allowed), -torch.inf)
    return masked.softmax(dim=-1).tolist()


def limits(_: Mapping[str, Any]) -> dict[str, Any]:
    text, ending = sample.long_review()
    found = {}
    for name, path in SENTIMENT.items():
        ask = classifier(path)
        cut = ask.tokenizer(text, truncation=True, return_offsets_mapping=True)
        seen = max(end for _, end in cut.offset_mapping)
        found[name] = {
            "tokens": len(ask.tokenizer(text, truncation=False, verbose=False).input_ids),
            "read": len(cut.input_ids),
            "unread": text[seen:].strip(),
            "label": verdict(ask(text)[0]["label"]),
            "label_of_end": verdict(ask(ending)[0]["label"]),
            "german": share_right(ask, sample.german()),
        }
    return found


def comparison(_: Mapping[str, Any]) -> dict[str, Any]:
    rows, found = sample.labelled(), {}
    for name, path in SENTIMENT.items():
        ask = classifier(path)
        weights = list(ask.model.parameters())
        first, turned = ask([sample.PRODUCT, sample.TURNED])
        kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in sample.KINDS}
        by_kind = {kind: share_right(ask, part) for kind, part in kinds.items()}
        found[name] = {
            "label": verdict(first["label"]),
            "score": first["score"],
            "turned": verdict(turned["label"]),
            "accuracy": sum(by_kind.values()) / len(by_kind),
            "by_kind": by_kind,
            "parameters": sum(weight.numel() for weight in weights),
            "bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        }
    return found


@cache
def classifier(path: str) -> Any:
    return pipeline("text-classification", model=path, truncation=True)


def share_right(ask: Any, rows: Sequence[Mapping[str, str]]) -> float:
    found = ask([row["text"] for row in rows])
    return sum(verdict(answer["label"]) == row["label"] for answer, row in zip(found, rows, strict=True)) / len(rows)


def verdict(label: str) -> str:
    return next(side for side in ("POSITIVE", "NEGATIVE", "NEUTRAL") if label.upper()[:3] == side[:3])


PARTS = {"by-hand": by_hand, "own-pipeline": own_pipeline, "limits": limits, "comparison": comparison}

if __name__ == "__main__":
    main()
