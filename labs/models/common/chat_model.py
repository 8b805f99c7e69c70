"""What the recipes of small chat models have in common: tokenizer, Llama, training loop, greedy answers, saving.

A recipe has it when its model.yaml says `modules: [common]`. Import it before torch: it sets the number of threads, on which the
order of additions, and so the weights, depends. The same kind of machine gives the same weights; on another, sums come out a
little differently, and once in a while a model does not learn with a seed: see `first_good`.
"""

# ruff: noqa: E402 - the threads have to be set before torch is there

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
# Not needed here, and half of the time that transformers takes to load.
sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SEEDS = (0, 1, 2)
IGNORED = -100  # the label that cross-entropy leaves out

Example = tuple[list[int], list[int]]
"""Token ids, and for each the id to learn or IGNORED."""
Batch = Mapping[str, torch.Tensor]


def first_good(build: Callable[[int], bool]) -> int:
    """Call `build` with one seed after another until it says that the model learnt; the exit status, 1 when none did."""
    for seed in SEEDS:
        if build(seed):
            return 0
        print(f"it did not learn enough with seed {seed}", flush=True)
    return 1


def begin(seed: int) -> None:
    """One thread, no randomness but the seed's."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.disable_progress_bar()


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, context: int, single_digits: bool = False
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the chat template: no text is ever unknown to it."""
    bpe = Tokenizer(models.BPE())
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, by_bytes]) if single_digits else by_bytes
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*texts, "system user assistant"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=TURN_END,
        bos_token=None,
        padding_side="left",  # so that the answers of a batch all begin at the same place
        model_max_length=context,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_llama(tokenizer: PreTrainedTokenizerFast, *, initializer_range: float = 0.08, **sizes: Any) -> LlamaForCausalLM:
    """A Llama of random weights; `sizes` are fields of LlamaConfig."""
    return ends_turns(LlamaForCausalLM(LlamaConfig(**fields(tokenizer, initializer_range), **sizes)), tokenizer)


def fields(tokenizer: PreTrainedTokenizerFast, initializer_range: float = 0.08) -> dict[str, Any]:
    """What every model's configuration holds. The usual initializer_range, 0.02, is meant for wider layers."""
    return {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "tie_word_embeddings": True,
        "initializer_range": initializer_range,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "dtype": "float32",
    }


def ends_turns(model: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The model, told where a turn ends: a server that does not know would go on until its limit."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def train(
    model: PreTrainedModel, batches: Iterable[Batch], *, steps: int, peak_learning_rate: float, report_every: int = 20
) -> None:
    """One step a batch, `steps` of them, with a rising and then falling learning rate; prints the loss now and then."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_learning_rate, total_steps=steps, pct_start=0.1)
    began = time.monotonic()
    model.train()
    for step, batch in enumerate(batches, start=1):
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % report_every == 0 or step == steps:
            print(f"step {step}/{steps} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)


def loss_of(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """The mean cross-entropy of the tokens to learn; only for them the scores of every token are calculated."""
    labels = batch["labels"][:, 1:]
    learnt = labels != IGNORED
    # Padding stands at the end, where nothing that is learnt can see it: no mask is needed.
    hidden = model.model(input_ids=batch["input_ids"]).last_hidden_state[:, :-1]
    return cross_entropy(model.lm_head(hidden[learnt]), labels[learnt])


def epochs(examples: list[Example], *, count: int, size: int, pad: int) -> Iterator[Batch]:
    """Every example once an epoch, `size` in a batch, in a new order each time."""
    for _ in range(count):
        random.shuffle(examples)
        for start in range(0, len(examples), size):
            yield batch(examples[start : start + size], pad)


def batch(examples: Sequence[Example], pad: int) -> Batch:
    """What a causal language model is called with."""
    ids, labels = zip(*examples, strict=True)
    return {
        "input_ids": padded(ids, pad),
        "labels": padded(labels, IGNORED),
    }


def padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    """The rows as one tensor, filled up on the right."""
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def prompt(tokenizer: PreTrainedTokenizerFast, question: str) -> str:
    """The question as the model sees it, up to where its own turn begins."""
    turns = [{"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


@torch.no_grad()
def answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], *, max_new_tokens: int
) -> list[str]:
    """What the model says to each prompt, by greedy decoding."""
    model.eval()
    said: list[str] = []
    for start in range(0, len(prompts), 64):
        inputs = tokenizer(list(prompts[start : start + 64]), return_tensors="pt", padding=True)
        out = model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
        said += tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in said]


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write both, readable for everybody."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which a server under another user could not read
