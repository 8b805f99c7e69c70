"""Measures saved models on the learner's texts, without the learner's code. Prints JSON.

    python -I measure.py objective DATA_PY SEED MODEL    loss of out/base and out/chat on held-out plain texts and chats
    python -I measure.py methods DATA_PY SEED MODEL      loss of MODEL, of out/lora on it, and of out/qlora on it in 4 bits

Nothing but safetensors is loaded, and no code that comes with a model.
"""

# ruff: noqa: E402 - what is not to be loaded has to be named first

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from collections.abc import Sequence
from typing import Any

sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))  # transformers and PEFT would load them, for nothing

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
IGNORED = -100
STRANGERS = 8
"""How many others a learner's adapters are compared with: one alone may happen to have much in common with a friend."""

Example = tuple[list[int], int]
"""Token ids, and how many of them at the beginning are not learnt."""


def main(what: str, data_py: str, seed: str, model: str) -> None:
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    spec = importlib.util.spec_from_file_location("data", data_py)
    data = importlib.util.module_from_spec(spec)
    sys.modules["data"] = data
    spec.loader.exec_module(data)
    tokenizer = AutoTokenizer.from_pretrained(model)
    found = (
        objective(data.Session(seed), tokenizer)
        if what == "objective"
        else methods(data.Session(seed), tokenizer, model)
    )
    print(json.dumps(found))


def objective(session: Any, tokenizer: Any) -> dict[str, dict[str, float]]:
    plain = [plain_example(tokenizer, text) for text in session.plain_texts(held_out=True)]
    chats = [chat_example(tokenizer, row) for row in session.chats(held_out=True)]
    found = {}
    for name in ("base", "chat"):
        model = load(f"out/{name}")
        found[name] = {"plain": loss(model, plain), "chat": loss(model, chats)}
    return found


def methods(session: Any, tokenizer: Any, path: str) -> dict[str, Any]:
    """Each with the learner's chats, and with those of strangers, which have other answers to the same questions."""
    from peft import PeftModel

    own, *strangers = (
        [chat_example(tokenizer, row) for row in one.chats()] for one in (session, *session.strangers(STRANGERS))
    )
    whole = load(path)
    found = {"before": losses(whole, own, strangers)}
    found["lora"] = losses(PeftModel.from_pretrained(whole, "out/lora").eval(), own, strangers)
    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    small = load(path, quantization_config=how, device_map=DEVICE)
    return {**found, "qlora": losses(PeftModel.from_pretrained(small, "out/qlora").eval(), own, strangers)}


def losses(model: Any, own: Sequence[Example], strangers: Sequence[Sequence[Example]]) -> dict[str, float]:
    return {"own": loss(model, own), "strangers": statistics.mean(loss(model, chats) for chats in strangers)}


def load(path: str, **how: Any) -> Any:
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True, **how
    )
    return model.eval() if how else model.to(DEVICE).eval()


def plain_example(tokenizer: Any, text: str) -> Example:
    end = tokenizer.eos_token_id
    return [end, *tokenizer(text).input_ids, end], 1


def chat_example(tokenizer: Any, row: dict[str, str]) -> Example:
    turns = [{"role": "user", "content": row["question"]}]
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    return ids + tokenizer(row["answer"] + "<|im_end|>").input_ids, len(ids)


@torch.no_grad()
def loss(model: Any, examples: Sequence[Example]) -> float:
    """The mean over all tokens that are learnt."""
    width = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in examples], device=DEVICE)
    attended = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in examples], device=DEVICE)
    labels = torch.tensor(
        [[IGNORED] * skipped + row[skipped:] + [IGNORED] * (width - len(row)) for row, skipped in examples],
        device=DEVICE,
    )
    logits = model(input_ids=ids, attention_mask=attended).logits[:, :-1].float()
    return cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED).item()


if __name__ == "__main__":
    main(*sys.argv[1:])
