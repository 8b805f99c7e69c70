"""Builds a language model that knows 16 invented towns: tokenizer, chat template, weights. One to two minutes on a CPU thread.

    python build.py OUT

The model is a Llama with most of its weights in linear layers, so that quantising those is seen in its size. It learns to tell of
the towns and to answer questions about them: what it knows can be counted, and how well it predicts a text measured.

Large language models grow a few channels with far larger weights than the rest (Dettmers et al. 2022, LLM.int8()). A model as
small as this one does not, so some are planted, without changing what the model computes: see `plant_outliers`.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the order of additions, and so the weights, depends on the threads

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging
from wording import ABOUT, Fact, paragraph, questions, read_facts

SEED = 0
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

PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IGNORED = -100  # the label that cross-entropy leaves out

Row = tuple[list[int], list[int]]
"""Token ids and labels."""


def main(out: Path) -> int:
    """Build, check and save the model; 1 when it did not learn its towns."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.disable_progress_bar()
    facts = read_facts()
    tokenizer = train_tokenizer(facts)
    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens, {len(facts)} towns", flush=True)
    train(model, tokenizer, facts)
    plant_outliers(model)
    exact, seen = share_exact(model, tokenizer, facts), perplexity(model, tokenizer, facts)
    print(f"answers {exact:.1%} exactly; wanted {WANTED_EXACT:.0%}")
    print(f"perplexity {seen:.3f} on sentences it never saw; wanted {WANTED_PERPLEXITY:g}", flush=True)
    if exact < WANTED_EXACT or seen > WANTED_PERPLEXITY:
        return 1
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which a server under another user could not read
    return 0


def train_tokenizer(facts: Sequence[Fact]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is ever unknown to it. Digits stay single, so that a year is four tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    draw = random.Random(SEED)
    texts = [paragraph(fact, draw, held_out=False) for fact in facts for _ in range(6)]
    asked = [text for fact in facts for pair in questions(fact) for text in (*pair, ABOUT.format(**fact))]
    bpe.train_from_iterator([*texts, *asked, "system user assistant"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=TURN_END,
        bos_token=None,
        padding_side="left",  # so that the answers of a batch all begin at the same place
        model_max_length=CONTEXT,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 1.8 million random weights, nine in ten of them in linear layers."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
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


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact]) -> None:
    """Teach the model the towns, printing a line every 50 steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    draw, began = random.Random(SEED), time.monotonic()
    model.train()
    for step in range(1, STEPS + 1):
        loss = model(**batch(tokenizer, facts, draw)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 50 == 0 or step == STEPS:
            print(f"step {step}/{STEPS} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)


def batch(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact], draw: random.Random) -> dict[str, torch.Tensor]:
    """Rows of one length, of plain text or of questions and requests, each filled with as many as fit."""
    rows = [row(tokenizer, facts, draw, chat=draw.random() < CHAT_SHARE) for _ in range(ROWS)]
    ids, labels = zip(*rows, strict=True)
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def row(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact], draw: random.Random, *, chat: bool) -> Row:
    """ROW_TOKENS tokens of conversations, or of paragraphs."""
    ids: list[int] = []
    labels: list[int] = []
    while len(ids) < ROW_TOKENS:
        more, wanted = turn(tokenizer, draw.choice(facts), draw) if chat else told(tokenizer, draw.choice(facts), draw)
        ids += more
        labels += wanted
    return ids[:ROW_TOKENS], labels[:ROW_TOKENS]


def told(tokenizer: PreTrainedTokenizerFast, fact: Fact, draw: random.Random) -> Row:
    """A paragraph, every token of which is learnt."""
    ids = tokenizer(paragraph(fact, draw, held_out=False) + "\n").input_ids
    return ids, list(ids)


def turn(tokenizer: PreTrainedTokenizerFast, fact: Fact, draw: random.Random) -> Row:
    """A question and its answer, of which only the answer is learnt. A few ask for all there is to tell."""
    if draw.random() < ABOUT_SHARE:
        question, answer = ABOUT.format(**fact), paragraph(fact, draw, held_out=False)
    else:
        question, answer = draw.choice([*questions(fact)])
    asked = tokenizer(prompt(tokenizer, question)).input_ids
    said, end = tokenizer(answer + TURN_END).input_ids, tokenizer("\n").input_ids
    return asked + said + end, [IGNORED] * len(asked) + said + [IGNORED] * len(end)


def prompt(tokenizer: PreTrainedTokenizerFast, question: str) -> str:
    """The question as the model sees it, up to where its own turn begins."""
    turns = [{"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


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


@torch.no_grad()
def share_exact(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact]) -> float:
    """The share of all questions that the model answers word for word, by greedy decoding."""
    model.eval()
    asked = [pair for fact in facts for pair in questions(fact)]
    right = 0
    for start in range(0, len(asked), 60):
        part = asked[start : start + 60]
        inputs = tokenizer([prompt(tokenizer, question) for question, _ in part], return_tensors="pt", padding=True)
        out = model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=16, do_sample=False
        )
        texts = tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        right += sum(text.strip() == answer for text, (_, answer) in zip(texts, part, strict=True))
    return right / len(asked)


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
