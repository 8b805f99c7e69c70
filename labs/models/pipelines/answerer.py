"""An extractive question answerer: MiniLM with a head that says where in the passage the answer begins and ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from base import BASE
from passages import Question, questions
from training import train
from transformers import AutoTokenizer, BertForQuestionAnswering, PreTrainedTokenizerFast

STEPS = 260
BATCH = 8
LEARNING_RATE = 2.5e-4
CONTEXT = 256


def build(out: Path) -> dict[str, float]:
    """Train the answerer into `out`; the share of new questions that it answers exactly."""
    tokenizer = AutoTokenizer.from_pretrained(BASE, model_max_length=CONTEXT)
    model = BertForQuestionAnswering.from_pretrained(BASE)
    model.bert.embeddings.requires_grad_(False)
    print(f"answerer: {model.num_parameters():,} parameters, {STEPS * BATCH} questions", flush=True)
    train(model, batches(tokenizer, questions(STEPS * BATCH, "train")), steps=STEPS, peak_learning_rate=LEARNING_RATE)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return {
        "known names": share_exact(model, tokenizer, questions(100, "known")),
        "new names": share_exact(model, tokenizer, questions(100, "held out", held_out=True)),
    }


def batches(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Question]) -> Iterator[dict[str, torch.Tensor]]:
    for start in range(0, len(rows), BATCH):
        yield encode(tokenizer, rows[start : start + BATCH])


def encode(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Question]) -> dict[str, torch.Tensor]:
    """Questions and passages as tokens, and the tokens at which the answers begin and end."""
    asked, told = [row["question"] for row in rows], [row["context"] for row in rows]
    inputs = tokenizer(asked, told, return_tensors="pt", padding=True, return_offsets_mapping=True)
    inputs.pop("offset_mapping")
    places = [(row["start"], row["start"] + len(row["answer"]) - 1) for row in rows]
    starts, ends = zip(
        *[[inputs.char_to_token(n, place, 1) for place in both] for n, both in enumerate(places)], strict=True
    )
    return {**inputs, "start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}


@torch.no_grad()
def share_exact(model: BertForQuestionAnswering, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Question]) -> float:
    """The share of questions whose most likely first and last tokens are those of the answer."""
    right = 0
    for start in range(0, len(rows), 50):
        batch = encode(tokenizer, rows[start : start + 50])
        out = model(**batch)
        begins = out.start_logits.argmax(dim=1) == batch["start_positions"]
        right += int((begins & (out.end_logits.argmax(dim=1) == batch["end_positions"])).sum())
    return right / len(rows)
