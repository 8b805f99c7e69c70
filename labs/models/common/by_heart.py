"""A chat model that learns questions with their answers by heart: enough to fine-tune it, serve it and measure it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import chat_model
from chat_model import IGNORED, TURN_END, Example, prompt
from transformers import PreTrainedTokenizerFast

BATCH_SIZE = 8
WANTED_EXACT = 0.95

Row = dict[str, str]
"""`user` is what is asked, `assistant` what is to be answered."""


def build(rows: Sequence[Row], out: Path, *, epochs: int, peak_learning_rate: float) -> int:
    """Build a Llama of 0.9 million weights, teach it the rows, check and save it; 1 when it did not learn them."""
    return chat_model.first_good(lambda seed: teach(rows, out, seed, epochs, peak_learning_rate))


def teach(rows: Sequence[Row], out: Path, seed: int, epochs: int, peak_learning_rate: float) -> bool:
    """Build, teach and check one with this seed, and save it when it learnt the rows; whether it did."""
    chat_model.begin(seed)
    texts = [text for row in rows for text in (row["user"], row["assistant"])]
    tokenizer = chat_model.train_tokenizer(texts, vocab_size=1024, context=1024)
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
    model = chat_model.new_llama(tokenizer, **sizes, **heads)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(rows)} rows", flush=True)
    examples = [encode(tokenizer, row) for row in rows]
    steps = epochs * math.ceil(len(examples) / BATCH_SIZE)
    batches = chat_model.epochs(examples, count=epochs, size=BATCH_SIZE, pad=tokenizer.pad_token_id)
    chat_model.train(model, batches, steps=steps, peak_learning_rate=peak_learning_rate)
    said = chat_model.answers(model, tokenizer, [prompt(tokenizer, row["user"]) for row in rows], max_new_tokens=32)
    exact = sum(text == row["assistant"] for text, row in zip(said, rows, strict=True)) / len(rows)
    print(f"answers {exact:.1%} of its rows exactly; wanted {WANTED_EXACT:.0%}", flush=True)
    if exact < WANTED_EXACT:
        return False
    chat_model.save(model, tokenizer, out)
    return True


def encode(tokenizer: PreTrainedTokenizerFast, row: Row) -> Example:
    """Token ids and labels of a row; only the answer's tokens are learnt."""
    question = tokenizer(prompt(tokenizer, row["user"])).input_ids
    answer = tokenizer(row["assistant"] + TURN_END).input_ids
    return question + answer, [IGNORED] * len(question) + answer
