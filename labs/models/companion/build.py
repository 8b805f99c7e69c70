"""Builds a chat model of half a million weights that uses what was said before. Two to three minutes on one CPU thread.

    python build.py OUT

Its whole training are conversations made up by dialogues.py. Its context is small on purpose: 256 tokens, some ten exchanges.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import chat_model
from chat_model import IGNORED, TURN_END, TURN_START, Batch, Example
from dialogues import FACTS, OWN_NAMES, Message, dialogue, told_apart
from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast

STEPS = 800
# First how to look something up at all, in short conversations; then how to find it in long ones.
SHORT_STEPS, SHORT_BATCH, SHORT_EXCHANGES = 500, 24, (2, 3)
LONG_BATCH, LONG_EXCHANGES = 8, (3, 4, 5, 6, 7, 9)
PEAK_LEARNING_RATE = 3e-3
CONTEXT = 256
WANTED_EXACT = 0.97


def main(out: Path) -> int:
    """Build, check and save the model; 1 when it does not remember."""
    return chat_model.first_good(lambda seed: learn(out, seed))


def learn(out: Path, seed: int) -> bool:
    """Build, check and save one with this seed; whether it remembers."""
    chat_model.begin(seed)
    rng = random.Random(f"train {seed}")
    short = [dialogue(rng, rng.choice(SHORT_EXCHANGES)) for _ in range(SHORT_STEPS * SHORT_BATCH)]
    long = [dialogue(rng, rng.choice(LONG_EXCHANGES)) for _ in range((STEPS - SHORT_STEPS) * LONG_BATCH)]
    tokenizer = train_tokenizer([*short[:1000], *long[:300]])
    model = new_model(tokenizer)
    print(
        f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(short) + len(long)} conversations",
        flush=True,
    )
    both = chain(batches(tokenizer, short, SHORT_BATCH), batches(tokenizer, long, LONG_BATCH))
    chat_model.train(model, both, steps=STEPS, peak_learning_rate=PEAK_LEARNING_RATE, report_every=50)
    chat_model.save(model, tokenizer, out)
    return remembers(model, tokenizer)


def remembers(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether it gives nearly all answers of conversations that it has not seen, word for word."""
    rng = random.Random("new")
    new = {
        "the last answers of new conversations": [dialogue(rng, 6) for _ in range(100)],
        "names, after a town was told,": [told_apart(rng) for _ in range(100)],
    }
    exact = {what: share_exact(model, tokenizer, talks) for what, talks in new.items()}
    for what, share in exact.items():
        print(f"gives {share:.1%} of {what} word for word; wanted {WANTED_EXACT:.0%}", flush=True)
    return min(exact.values()) >= WANTED_EXACT


def train_tokenizer(talks: Sequence[list[Message]]) -> PreTrainedTokenizerFast:
    """One to which every name of FACTS is one token."""
    texts = [message["content"] for talk in talks for message in talk]
    names = [f" {word}" for word in (*chain(*FACTS.values()), *OWN_NAMES)]
    return chat_model.train_tokenizer([*texts, *names * 500], vocab_size=1400, context=CONTEXT)


def new_model(tokenizer: PreTrainedTokenizerFast) -> Lfm2ForCausalLM:
    """Half a million random weights.

    An LFM2, whose short convolutions see the tokens just before each token. What it learns depends as much on the conversations:
    with few questions about what was told it remembered no name at all.
    """
    config = Lfm2Config(
        hidden_size=96,
        intermediate_size=192,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=4,
        layer_types=["conv", "full_attention"] * 2,
        num_attention_heads=4,
        num_key_value_heads=4,
        **chat_model.fields(tokenizer),
    )
    model: Lfm2ForCausalLM = chat_model.ends_turns(Lfm2ForCausalLM(config), tokenizer)
    return model


def batches(tokenizer: PreTrainedTokenizerFast, talks: Sequence[list[Message]], size: int) -> Iterator[Batch]:
    """Talks of like length together, so that little is padding."""
    examples = [encode(tokenizer, talk) for talk in talks]
    groups = [examples[start : start + 8 * size] for start in range(0, len(examples), 8 * size)]
    for group in groups:
        group.sort(key=lambda example: len(example[0]))
    parts = [group[start : start + size] for group in groups for start in range(0, len(group), size)]
    random.Random("order").shuffle(parts)
    for part in parts:
        yield chat_model.batch(part, tokenizer.pad_token_id)


def encode(tokenizer: PreTrainedTokenizerFast, talk: list[Message]) -> Example:
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


def share_exact(model: Lfm2ForCausalLM, tokenizer: PreTrainedTokenizerFast, talks: Sequence[list[Message]]) -> float:
    """The share of conversations whose last answer the model gives word for word."""
    wrong = []
    for talk in talks:  # one by one: filled up on the left, its convolutions would see what is no part of the talk
        prompt = tokenizer.apply_chat_template(talk[:-1], tokenize=False, add_generation_prompt=True)
        (made,) = chat_model.answers(model, tokenizer, [prompt], max_new_tokens=24)
        if made != talk[-1]["content"]:
            wrong.append((talk, made))
    for talk, text in wrong[:5]:
        print(f"  wanted {talk[-1]['content']!r}, got {text!r}")
    return 1 - len(wrong) / len(talks)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
