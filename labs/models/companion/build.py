"""Builds a chat model of half a million weights that uses what was said before. About four minutes on one CPU thread.

    python build.py OUT

Its whole training are conversations made up by dialogues.py. Its context is small on purpose: 256 tokens, some ten exchanges.
"""

# ruff: noqa: E402 - what is left out has to be said before the imports

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the order of additions, and so the weights, depends on the threads
# Not needed here, and half of the time that transformers takes to load.
sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))

import torch
from dialogues import FACTS, OWN_NAMES, Message, dialogue, told_apart
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

STEPS = 900
# First how to look something up at all, in short conversations; then how to find it in long ones.
SHORT_STEPS, SHORT_BATCH, SHORT_EXCHANGES = 500, 24, (2, 3)
LONG_BATCH, LONG_EXCHANGES = 8, (3, 4, 5, 6, 7, 9)
PEAK_LEARNING_RATE = 3e-3
CONTEXT = 256
WANTED_EXACT = 0.97
PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IGNORED = -100


def main(out: Path) -> int:
    """Build, check and save the model; 1 when it does not remember."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.disable_progress_bar()
    rng = random.Random("train")
    short = [dialogue(rng, rng.choice(SHORT_EXCHANGES)) for _ in range(SHORT_STEPS * SHORT_BATCH)]
    long = [dialogue(rng, rng.choice(LONG_EXCHANGES)) for _ in range((STEPS - SHORT_STEPS) * LONG_BATCH)]
    tokenizer = train_tokenizer([*short[:1000], *long[:300]])
    model = new_model(tokenizer)
    print(
        f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(short) + len(long)} conversations",
        flush=True,
    )
    train(model, chain(batches(tokenizer, short, SHORT_BATCH), batches(tokenizer, long, LONG_BATCH)))
    rng = random.Random("new")
    new = {
        "the last answers of new conversations": [dialogue(rng, 6) for _ in range(100)],
        "names, after a town was told,": [told_apart(rng) for _ in range(100)],
    }
    exact = {what: share_exact(model, tokenizer, talks) for what, talks in new.items()}
    for what, share in exact.items():
        print(f"gives {share:.1%} of {what} word for word; wanted {WANTED_EXACT:.0%}", flush=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which a server under another user could not read
    return 0 if min(exact.values()) >= WANTED_EXACT else 1


def train_tokenizer(talks: Sequence[list[Message]]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is ever unknown to it, and a name it was made for is one token."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1400,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [message["content"] for talk in talks for message in talk]
    parts = [f" {word}" for word in (*chain(*FACTS.values()), *OWN_NAMES)] + ["system", "user", "assistant"]
    bpe.train_from_iterator([*texts, *parts * 500], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=TURN_END, model_max_length=CONTEXT
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> Lfm2ForCausalLM:
    """Half a million random weights.

    An LFM2, whose short convolutions see the tokens just before each token. What it learns depends as much on the conversations:
    with few questions about what was told it remembered no name at all.
    """
    config = Lfm2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=4,
        layer_types=["conv", "full_attention"] * 2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.08,  # the usual 0.02 is meant for wider layers
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    model = Lfm2ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def train(model: Lfm2ForCausalLM, batches: Iterable[dict[str, torch.Tensor]]) -> None:
    """Teach the model every answer of the conversations, each in the light of all that came before it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    began = time.monotonic()
    model.train()
    for step, batch in enumerate(batches, start=1):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 50 == 0 or step == STEPS:
            print(f"step {step}/{STEPS} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)


def batches(
    tokenizer: PreTrainedTokenizerFast, talks: Sequence[list[Message]], size: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Talks of like length together, so that little is padding."""
    examples = [encode(tokenizer, talk) for talk in talks]
    groups = [examples[start : start + 8 * size] for start in range(0, len(examples), 8 * size)]
    for group in groups:
        group.sort(key=lambda example: len(example[0]))
    parts = [group[start : start + size] for group in groups for start in range(0, len(group), size)]
    random.Random("order").shuffle(parts)
    for part in parts:
        yield {
            "input_ids": padded([ids for ids, _ in part], tokenizer.pad_token_id),
            "labels": padded([labels for _, labels in part], IGNORED),
            "attention_mask": padded([[1] * len(ids) for ids, _ in part], 0),
        }


def encode(tokenizer: PreTrainedTokenizerFast, talk: list[Message]) -> tuple[list[int], list[int]]:
    """Token ids and labels; only the assistant's words are learnt."""
    ids, labels = [], []
    for message in talk:
        before = tokenizer(f"{TURN_START}{message['role']}\n").input_ids
        said = tokenizer(f"{message['content']}{TURN_END}").input_ids
        after = tokenizer("\n").input_ids
        learnt = said if message["role"] == "assistant" else [IGNORED] * len(said)
        ids += before + said + after
        labels += [IGNORED] * len(before) + learnt + [IGNORED] * len(after)
    return ids[:CONTEXT], labels[:CONTEXT]


def padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


@torch.no_grad()
def share_exact(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast, talks: Sequence[list[Message]]) -> float:
    """The share of conversations whose last answer the model gives word for word."""
    model.eval()
    wrong = []
    for talk in talks:
        prompt = tokenizer.apply_chat_template(talk[:-1], tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(prompt, return_tensors="pt")
        out = model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=24, do_sample=False
        )
        made = tokenizer.decode(out[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        if made.strip() != talk[-1]["content"]:
            wrong.append((talk, made))
    for talk, text in wrong[:5]:
        print(f"  wanted {talk[-1]['content']!r}, got {text!r}")
    return 1 - len(wrong) / len(talks)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
