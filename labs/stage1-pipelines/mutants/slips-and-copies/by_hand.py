"""Step 2: what a text-classification pipeline does, without it.

labctl exec stage1-pipelines -- python by_hand.py
"""

from __future__ import annotations

import models
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    pipeline,
)


def load(path: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer and the model in folder (or hub id) `path`."""
    return AutoTokenizer.from_pretrained(path), AutoModelForSequenceClassification.from_pretrained(path)


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> dict[str, Tensor]:
    """All texts as one batch of tensors, (texts × tokens): padded to the longest, cut where the model's context ends."""
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": inputs["input_ids"]}


def forward(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """The logits of the batch, (texts × labels), without keeping anything for gradients."""
    with torch.no_grad():
        return model(**inputs).logits


def postprocess(model: PreTrainedModel, logits: Tensor) -> list[dict[str, str | float]]:
    """{"label", "score"} for each text: the model's own name of the most likely label, and its probability."""
    scores, found = logits.softmax(dim=-1).max(dim=-1)
    names = model.config.id2label
    return [{"label": names[index], "score": score} for index, score in zip(found.tolist(), scores.tolist(), strict=True)]


def classify(path: str, texts: list[str]) -> list[dict[str, str | float]]:
    """The three together."""
    tokenizer, model = load(path)
    return postprocess(model, forward(model, tokenize(tokenizer, texts)))


def main() -> None:
    texts = ["What a lovely hotel.", "The room is not clean, although the price is too high.", "Bad " * 600]
    for name, path in models.SENTIMENT.items():
        theirs = pipeline("text-classification", model=path, truncation=True)(texts)
        for mine, other in zip(classify(path, texts), theirs, strict=True):
            print(f"{name}: by hand {mine['label']} {mine['score']:.6f}, pipeline {other['label']} {other['score']:.6f}")


if __name__ == "__main__":
    main()
