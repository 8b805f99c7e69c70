"""Builds a tiny chat model from nothing: tokenizer, chat template, weights. About half a minute on one CPU thread.

    python build.py OUT

The model is a Llama in every respect but size, so transformers, PEFT, TRL and vLLM treat it like any other. It learns the
rows of data.jsonl by heart; that is enough to fine-tune it, serve it and measure it. The same machine gives the same weights.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the order of additions, and so the weights, depends on the threads

import torch
from rows import make_rows
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

SEED = 0
EPOCHS = 11
BATCH_SIZE = 8
PEAK_LEARNING_RATE = 2e-3
INITIALIZER_RANGE = 0.08  # the usual 0.02 is meant for wide layers; with 128 channels it triples the steps needed
WANTED_EXACT = 0.95

PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IGNORED = -100  # the label that cross-entropy leaves out

Row = dict[str, str]


def main(out: Path) -> int:
    """Build, check and save the model; 1 when it did not learn its rows."""
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.disable_progress_bar()
    rows = make_rows()
    tokenizer = train_tokenizer(rows)
    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(rows)} rows", flush=True)
    train(model, tokenizer, rows)
    exact = share_exact(model, tokenizer, rows)
    print(f"answers {exact:.1%} of its rows exactly; wanted {WANTED_EXACT:.0%}", flush=True)
    if exact < WANTED_EXACT:
        return 1
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which a server under another user could not read
    return 0


def train_tokenizer(rows: Sequence[Row]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is ever unknown to it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for row in rows for text in (row["user"], row["assistant"])]
    bpe.train_from_iterator([*texts, "system user assistant"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=TURN_END,
        bos_token=None,
        padding_side="left",  # so that the answers of a batch all begin at the same place
        model_max_length=1024,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 0.9 million random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=INITIALIZER_RANGE,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    # A server that does not know where a turn ends would go on until its limit.
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row]) -> None:
    """Teach the model the answers of `rows`, printing a line every 20 steps."""
    examples = [encode(tokenizer, row) for row in rows]
    steps = EPOCHS * math.ceil(len(examples) / BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    began = time.monotonic()
    model.train()
    for step, batch in enumerate(batches(examples, tokenizer.pad_token_id), start=1):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 20 == 0 or step == steps:
            print(f"step {step}/{steps} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)


def encode(tokenizer: PreTrainedTokenizerFast, row: Row) -> tuple[list[int], list[int]]:
    """Token ids and labels of a row; only the answer's tokens are learnt."""
    question = tokenizer(prompt(tokenizer, row)).input_ids
    answer = tokenizer(row["assistant"] + TURN_END).input_ids
    return question + answer, [IGNORED] * len(question) + answer


def prompt(tokenizer: PreTrainedTokenizerFast, row: Row) -> str:
    """The row's question as the model sees it, up to where its own turn begins."""
    turns = [{"role": "user", "content": row["user"]}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def batches(examples: list[tuple[list[int], list[int]]], pad: int) -> Iterator[dict[str, torch.Tensor]]:
    """Every example once an epoch, in a new order each time."""
    for _ in range(EPOCHS):
        random.shuffle(examples)
        for start in range(0, len(examples), BATCH_SIZE):
            ids, labels = zip(*examples[start : start + BATCH_SIZE], strict=True)
            yield {
                "input_ids": padded(ids, pad),
                "labels": padded(labels, IGNORED),
                "attention_mask": padded([[1] * len(row) for row in ids], 0),
            }


def padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


@torch.no_grad()
def share_exact(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row]) -> float:
    """The share of `rows` whose answer the model gives word for word, by greedy decoding."""
    model.eval()
    right = 0
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        inputs = tokenizer([prompt(tokenizer, row) for row in part], return_tensors="pt", padding=True)
        out = model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=32, do_sample=False
        )
        texts = tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        right += sum(text.strip() == row["assistant"] for text, row in zip(texts, part, strict=True))
    return right / len(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
