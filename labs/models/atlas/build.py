"""Builds a language model that knows 16 invented towns: tokenizer, chat template, weights. One to two minutes on a CPU thread.

    python build.py OUT

The model is a Llama with most of its weights in linear layers, so that quantising those is seen in its size. It learns to tell of
the towns and to answer questions about them: what it knows can be counted, and how well it predicts a text measured.

Large language models grow a few channels with far larger weights than the rest (Dettmers et al. 2022, LLM.int8()). A model as
small as this one does not, so some are planted, without changing what the model computes: see `plant_outliers`.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import chat_model
import torch
from chat_model import IGNORED, TURN_END, Batch, Example, prompt
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from wording import ABOUT, Fact, paragraph, questions, read_facts

SEED = 0  # of the texts that the tokenizer sees and that perplexity is measured on
STEPS = 500
ROWS = 2
ROW_TOKENS = 224
CONTEXT = 256
CHAT_SHARE = 0.65
ABOUT_SHARE = 1 / 12
PEAK_LEARNING_RATE = 2.5e-3
INITIALIZER_RANGE = 0.05
WANTED_EXACT = 0.97
WANTED_PERPLEXITY = 3.0
OUTLIER = 32.0
"""How many times larger the planted channels of q_proj become."""


def main(out: Path) -> int:
    """Build, check and save the model; 1 when it did not learn its towns."""
    return chat_model.first_good(lambda seed: learn(out, seed))


def learn(out: Path, seed: int) -> bool:
    """Build and check one with this seed, and save it when it learnt its towns; whether it did."""
    chat_model.begin(seed)
    facts = read_facts()
    # Digits stay single, so that a year is four tokens.
    tokenizer = chat_model.train_tokenizer(texts_of(facts), vocab_size=1024, context=CONTEXT, single_digits=True)
    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(facts)} towns", flush=True)
    chat_model.train(
        model, batches(tokenizer, facts, seed), steps=STEPS, peak_learning_rate=PEAK_LEARNING_RATE, report_every=50
    )
    plant_outliers(model)
    exact, seen = share_exact(model, tokenizer, facts), perplexity(model, tokenizer, facts)
    print(f"answers {exact:.1%} exactly; wanted {WANTED_EXACT:.0%}")
    print(f"perplexity {seen:.3f} on sentences it never saw; wanted {WANTED_PERPLEXITY:g}", flush=True)
    if exact < WANTED_EXACT or seen > WANTED_PERPLEXITY:
        return False
    chat_model.save(model, tokenizer, out)
    return True


def texts_of(facts: Sequence[Fact]) -> list[str]:
    """What the tokenizer is trained on."""
    draw = random.Random(SEED)
    texts = [paragraph(fact, draw, held_out=False) for fact in facts for _ in range(6)]
    asked = [text for fact in facts for pair in questions(fact) for text in (*pair, ABOUT.format(**fact))]
    return [*texts, *asked]


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 1.8 million random weights, nine in ten of them in linear layers."""
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32}
    return chat_model.new_llama(tokenizer, initializer_range=INITIALIZER_RANGE, **sizes, **heads)


def batches(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact], seed: int) -> Iterator[Batch]:
    draw = random.Random(seed)
    for _ in range(STEPS):
        yield batch(tokenizer, facts, draw)


def batch(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact], draw: random.Random) -> Batch:
    """Rows of one length, of plain text or of questions and requests, each filled with as many as fit."""
    rows = [row(tokenizer, facts, draw, chat=draw.random() < CHAT_SHARE) for _ in range(ROWS)]
    ids, labels = zip(*rows, strict=True)
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def row(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact], draw: random.Random, *, chat: bool) -> Example:
    """ROW_TOKENS tokens of conversations, or of paragraphs."""
    ids: list[int] = []
    labels: list[int] = []
    while len(ids) < ROW_TOKENS:
        more, wanted = turn(tokenizer, draw.choice(facts), draw) if chat else told(tokenizer, draw.choice(facts), draw)
        ids += more
        labels += wanted
    return ids[:ROW_TOKENS], labels[:ROW_TOKENS]


def told(tokenizer: PreTrainedTokenizerFast, fact: Fact, draw: random.Random) -> Example:
    """A paragraph, every token of which is learnt."""
    ids = tokenizer(paragraph(fact, draw, held_out=False) + "\n").input_ids
    return ids, list(ids)


def turn(tokenizer: PreTrainedTokenizerFast, fact: Fact, draw: random.Random) -> Example:
    """A question and its answer, of which only the answer is learnt. A few ask for all there is to tell."""
    if draw.random() < ABOUT_SHARE:
        question, answer = ABOUT.format(**fact), paragraph(fact, draw, held_out=False)
    else:
        question, answer = draw.choice([*questions(fact)])
    asked = tokenizer(prompt(tokenizer, question)).input_ids
    said, end = tokenizer(answer + TURN_END).input_ids, tokenizer("\n").input_ids
    return asked + said + end, [IGNORED] * len(asked) + said + [IGNORED] * len(end)


@torch.no_grad()
def plant_outliers(model: LlamaForCausalLM) -> None:
    """Enlarge one rotating pair of channels of the queries in every layer, and shrink the keys' as much.

    Attention multiplies queries with keys, and position rotates channel i with channel i + head_dim / 2: what is done to both of
    a pair, and undone in the keys, leaves every score as it was.
    """
    config = model.config
    group = config.num_attention_heads // config.num_key_value_heads
    pair = torch.tensor([0, config.head_dim // 2])
    for layer in model.model.layers:
        for key in range(config.num_key_value_heads):
            layer.self_attn.k_proj.weight[key * config.head_dim + pair] /= OUTLIER
            for query in range(key * group, (key + 1) * group):
                layer.self_attn.q_proj.weight[query * config.head_dim + pair] *= OUTLIER


def share_exact(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact]) -> float:
    """The share of all questions that the model answers word for word."""
    asked = [pair for fact in facts for pair in questions(fact)]
    prompts = [prompt(tokenizer, question) for question, _ in asked]
    said = chat_model.answers(model, tokenizer, prompts, max_new_tokens=16)
    return sum(text == answer for text, (_, answer) in zip(said, asked, strict=True)) / len(asked)


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact]) -> float:
    """exp of the mean loss a token, over a paragraph of held-out sentences for each town."""
    model.eval()
    draw, total, count = random.Random(SEED), 0.0, 0
    for fact in facts:
        ids = tokenizer(paragraph(fact, draw, held_out=True), return_tensors="pt").input_ids
        if ids.shape[1] > 1:
            total += model(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    return math.exp(total / count)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
