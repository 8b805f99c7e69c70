"""Given: models, tokens, a training loop. Nothing here knows whether it is pre-training or post-training.

Import it first: it leaves out libraries that transformers and PEFT would load and nothing here needs, which halves the waiting.
"""

# ruff: noqa: E402 - what is not to be loaded has to be named first

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

sys.modules |= {name: None for name in ("torchao", "sklearn", "scipy") if name not in sys.modules}

import torch
from data import mine
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

MODEL = os.environ["MODEL_PATH"]
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
RATE = float(os.environ.get("LAB_RATE", "3e-3"))
"""The learning rate of step 2."""
METHOD_RATE = float(os.environ.get("LAB_METHOD_RATE", "8e-3"))
"""The learning rate of step 3."""
BATCH = 16 if CUDA else 8

Example = tuple[list[int], list[bool]]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

logging.disable_progress_bar()
if not CUDA:
    torch.set_num_threads(1)  # a model this small only waits for more threads


def load_tokenizer() -> Any:
    """The tokenizer of the profile's model."""
    return AutoTokenizer.from_pretrained(MODEL)


def new_model() -> Any:
    """What pre-training starts from: on a CPU a Llama of 160,000 random weights, on a GPU the profile's base model."""
    torch.manual_seed(0)
    if os.environ.get("LAB_START") == "model":
        return AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).to(DEVICE)
    config = LlamaConfig(
        vocab_size=len(load_tokenizer()),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.08,
    )
    return LlamaForCausalLM(config)


def plain_ids(tokenizer: Any, held_out: bool = False) -> list[list[int]]:
    """Your plain texts as tokens, each with the end-of-text token before and after it."""
    end = tokenizer.eos_token_id
    return [[end, *tokenizer(text).input_ids, end] for text in mine().plain_texts(held_out)]


def chat_ids(tokenizer: Any, held_out: bool = False) -> list[tuple[list[int], list[int]]]:
    """Your chats as tokens: the prompt up to where the assistant's turn begins, and the answer up to the end of its turn."""
    rows = []
    for row in mine().chats(held_out):
        turns = [{"role": "user", "content": row["question"]}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        answer = tokenizer(row["answer"] + "<|im_end|>").input_ids
        rows.append((tokenizer(prompt, add_special_tokens=False).input_ids, answer))
    return rows


def train(model: Any, examples: list[Example], loss: Loss, *, steps: int, rate: float) -> list[float]:
    """AdamW for `steps` batches; the loss of each."""
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches(examples, steps), start=1):
        losses.append(step_once(model, optimizer, batch, loss))
        if step == 1 or step % 40 == 0 or step == steps:
            print(f"step {step:4d}   loss {losses[-1]:.3f}", flush=True)
    return losses


def step_once(model: Any, optimizer: torch.optim.Optimizer, batch: list[Example], loss: Loss) -> float:
    """One step; gradients stay where they are until the next, so that they can be counted."""
    optimizer.zero_grad()
    ids, counted, attended = padded(batch)
    now = loss(model(input_ids=ids, attention_mask=attended).logits.float(), ids, counted)
    now.backward()
    optimizer.step()
    return now.item()


def held_out(model: Any, tokenizer: Any, plain: Callable, chat: Callable, loss: Loss) -> dict[str, float]:
    """The loss on plain texts and on chats that are not trained on."""
    return {
        "plain": measure(model, [plain(ids) for ids in plain_ids(tokenizer, held_out=True)], loss),
        "chat": measure(model, [chat(*ids) for ids in chat_ids(tokenizer, held_out=True)], loss),
    }


@torch.no_grad()
def measure(model: Any, examples: list[Example], loss: Loss) -> float:
    """The loss over all examples as one batch."""
    model.eval()
    ids, counted, attended = padded(examples)
    return loss(model(input_ids=ids, attention_mask=attended).logits.float(), ids, counted).item()


def padded(examples: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """ids, counted and attended of a batch; what is added at the right is neither counted nor attended."""
    width = max(len(ids) for ids, _ in examples)
    rows = [(ids + [0] * (width - len(ids)), counted + [False] * (width - len(ids))) for ids, counted in examples]
    attended = [[True] * len(ids) + [False] * (width - len(ids)) for ids, _ in examples]
    return tuple(
        torch.tensor(part, device=DEVICE) for part in ([ids for ids, _ in rows], [c for _, c in rows], attended)
    )


def batches(examples: list[Example], steps: int) -> Iterator[list[Example]]:
    numbers = random.Random(0)
    for _ in range(steps):
        yield numbers.sample(examples, min(BATCH, len(examples)))
