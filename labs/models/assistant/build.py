"""Builds two small chat models that use what stands before them, side by side. About three minutes on two cores.

    python build.py OUT

    OUT/router    learns from the examples in a prompt which desk a message is for
    OUT/counter   counts the people on a bus, with its steps or at once

They are an LFM2 and a Llama in every respect but size. No shop and no bus is there twice (rows.py makes them up), so there is nothing to
learn by heart: to guess the next desk, router has to look at the examples before it; to be right about a bus, counter has to
do one sum after the other, and is shown answers without steps as well as answers with them.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import chat_model
import rows
import torch
from chat_model import IGNORED, Example
from rows import Part
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SEED_OF_CHECKS = 1
BATCH_SIZE = 16
PEAK_LEARNING_RATE = 3e-3
HIDDEN_SIZE, HEAD_DIM = 64, 16
BUCKET = 8
"""Batches whose rows are sorted by length together, so that little of a batch is padding."""
CHECKED = 60
WANTED_FEW_SHOT, WANTED_STEPS, WANTED_GAIN = 0.9, 0.9, 0.4

PAD, END, OTHER = "<|pad|>", "<|end|>", "<|other|>"
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
"""The answer follows the last word: the less stands between what decides and what is decided, the sooner it is learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What one of the models learns, its size, and for how long it learns."""

    make_row: Callable[[random.Random, float], list[Part]]
    """A new row, given how much of the steps is done, from 0 to 1."""
    steps: int


KINDS = {
    "router": Kind(make_row=rows.shop, steps=1200),
    "counter": Kind(make_row=rows.bus, steps=1800),
}


def main(out: Path) -> int:
    """Build, check and save the models, each in a process of its own; 1 when one did not learn what the lab shows."""
    with ProcessPoolExecutor(len(KINDS), mp_context=get_context("spawn")) as pool:
        return 0 if all(pool.map(make, KINDS, [out] * len(KINDS))) else 1


def make(name: str, out: Path) -> bool:
    """Build and save one of the models; whether it learnt what the lab shows."""
    return chat_model.first_good(lambda seed: learn(name, out, seed)) == 0


def learn(name: str, out: Path, seed: int) -> bool:
    """Build and save one of the models with this seed; whether it learnt what the lab shows."""
    chat_model.begin(seed)
    model, tokenizer = build(name, KINDS[name], seed)
    chat_model.save(model, tokenizer, out / name)
    is_good = {"router": router_is_good, "counter": counter_is_good}[name]
    return is_good(model, tokenizer, random.Random(SEED_OF_CHECKS))


def build(name: str, kind: Kind, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A trained model and its tokenizer. The same machine gives the same weights."""
    chance = random.Random(seed)
    tokenizer = train_tokenizer(kind, chance)
    model = new_model(name, tokenizer)
    print(f"{name}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens", flush=True)
    train(name, model, tokenizer, chance)
    return model.eval(), tokenizer


def train_tokenizer(kind: Kind, chance: random.Random) -> PreTrainedTokenizerFast:
    """One token for each word, number, mark and line end that the rows are made of, and one for every other word.

    With pieces of words as tokens the same rows take many times as long to learn.
    """
    words = Tokenizer(models.WordLevel(unk_token=OTHER))
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+|\n"), behavior="removed", invert=True)
    words.decoder = decoders.Sequence(
        [
            decoders.WordPiece(cleanup=False),  # a space between two tokens
            decoders.Fuse(),
            decoders.Replace(Regex(" ?\n ?"), "\n"),
            *(decoders.Replace(f" {mark}", mark) for mark in ":.?,"),
        ]
    )
    special = [PAD, END, OTHER]
    texts = ["".join(text for text, _ in kind.make_row(chance, 1)) for _ in range(3000)]
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        eos_token=END,
        unk_token=OTHER,
        bos_token=None,
        model_max_length=1024,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(name: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Two hundred thousand random weights.

    Before a model can look anything up in its prompt it has to find the token before a token. The convolutions of LFM2 see it
    from the start; router as a Llama took about twice as many steps, or did not get there. counter is a Llama: as an LFM2 it did
    up to half of the sums at once, which leaves less for the steps to gain.
    """
    common = chat_model.fields(tokenizer) | {
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 3 * HIDDEN_SIZE,
        "num_attention_heads": HIDDEN_SIZE // HEAD_DIM,
        "num_key_value_heads": HIDDEN_SIZE // HEAD_DIM,
    }
    if name == "router":
        layers = ["conv", "full_attention"] * 2
        model: PreTrainedModel = Lfm2ForCausalLM(
            Lfm2Config(layer_types=layers, num_hidden_layers=4, block_auto_adjust_ff_dim=False, **common)
        )
    else:
        model = LlamaForCausalLM(LlamaConfig(num_hidden_layers=3, head_dim=HEAD_DIM, **common))
    return chat_model.ends_turns(model, tokenizer)


def train(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, chance: random.Random) -> None:
    """Teach the model new rows for as many batches as its kind wants, printing a line every 20."""
    kind = KINDS[name]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_rate(step, kind.steps))
    began = time.monotonic()
    model.train()
    for step, batch in enumerate(batches(tokenizer, kind, chance), start=1):
        loss = loss_of(model, batch, tokenizer.pad_token_id)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 20 == 0 or step == kind.steps:
            print(
                f"{name}: step {step}/{kind.steps} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True
            )


def share_of_rate(step: int, steps: int) -> float:
    """Up over 30 steps, then down to nothing in a straight line."""
    return min((step + 1) / 30, max(0.0, 1 - step / steps))


def batches(tokenizer: PreTrainedTokenizerFast, kind: Kind, chance: random.Random) -> Iterator[list[Example]]:
    """`kind.steps` batches of rows of about one length."""
    done = 0
    while done < kind.steps:
        made = sorted(
            (encode(tokenizer, kind.make_row(chance, done / kind.steps)) for _ in range(BUCKET * BATCH_SIZE)),
            key=lambda one: len(one[0]),
        )
        parts = [made[start : start + BATCH_SIZE] for start in range(0, len(made), BATCH_SIZE)]
        chance.shuffle(parts)
        yield from parts[: kind.steps - done]
        done += len(parts)


def encode(tokenizer: PreTrainedTokenizerFast, parts: Sequence[Part]) -> Example:
    """Token ids, and for each the id to learn or IGNORED."""
    ids: list[int] = []
    labels: list[int] = []
    for text, learnt in parts:
        tokens = tokens_of(tokenizer, text)
        ids += tokens
        labels += tokens if learnt else [IGNORED] * len(tokens)
    return ids, labels


@lru_cache(maxsize=50_000)
def tokens_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Most parts come again and again, and looking them up is faster."""
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def loss_of(model: PreTrainedModel, batch: Sequence[Example], pad: int) -> torch.Tensor:
    """The mean cross-entropy of the tokens to learn; only for them the scores of a token are calculated at all."""
    width = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in batch])
    labels = torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in batch])[:, 1:]
    learnt = labels != IGNORED
    # Padding stands at the end, where nothing that is learnt can see it: no mask is needed.
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    return cross_entropy(model.lm_head(hidden[learnt]), labels[learnt])


def router_is_good(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, chance: random.Random) -> bool:
    """Whether examples gain what the lab shows, in shops that the model never saw."""
    found = {
        shots: share_right(model, tokenizer, [asked(chance, shots) for _ in range(CHECKED)]) for shots in (0, 4, 8)
    }
    print(f"right: with 0, 4, 8 examples {found[0]:.0%} {found[4]:.0%} {found[8]:.0%}", flush=True)
    few = min(found[4], found[8])
    return few >= WANTED_FEW_SHOT and few - found[0] >= WANTED_GAIN


def counter_is_good(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, chance: random.Random) -> bool:
    """Whether steps gain what the lab shows, on buses that the model never saw."""
    buses = {steps: [rows.bus(chance, stops=5, steps=steps) for _ in range(CHECKED)] for steps in (False, True)}
    direct, worked = (share_right(model, tokenizer, buses[steps]) for steps in (False, True))
    print(f"right: at once {direct:.0%}, with steps {worked:.0%}", flush=True)
    return worked >= WANTED_STEPS and worked - direct >= WANTED_GAIN


def asked(chance: random.Random, shots: int) -> list[Part]:
    """A shop with as many examples for each desk, and one message more."""
    topics = chance.sample(list(rows.SUBJECTS), len(rows.DESKS))
    order = [number % len(rows.DESKS) for number in range(shots)]
    chance.shuffle(order)
    shown = [f"{rows.message(topics[number], chance)} -> {rows.DESKS[number]}\n" for number in order]
    right = chance.randrange(len(rows.DESKS))
    head = f"Send each message to one of our desks: {', '.join(rows.DESKS)}.\n\n"
    text = f"{head}{''.join(shown)}{rows.message(topics[right], chance)} ->\n\n"
    return [(text, False), (rows.DESKS[right] + rows.END, True)]


@torch.no_grad()
def share_right(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, wanted: Sequence[list[Part]]) -> float:
    """The share of rows whose last line the model writes as it is."""
    right = 0
    for row in wanted:
        prompt = "".join(text for text, learnt in row if not learnt)
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        out = model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=60, do_sample=False
        )
        said = tokenizer.decode(out[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        right += said.strip().splitlines()[-1:] == row[-1][0].removesuffix(END).splitlines()[-1:]
    return right / len(wanted)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
