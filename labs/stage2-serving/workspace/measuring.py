"""What every measurement of this lab shares: loading a model, its questions, its speed, its bytes on disk.

Given. Read it once: the files you complete call it.
"""

# ruff: noqa: E402 - what is not to be loaded has to be named first

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

sys.modules |= dict.fromkeys(("sklearn", "scipy"))  # transformers would load them, which takes seconds, for nothing

import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

MODEL = os.environ["MODEL_PATH"]
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
DTYPE = torch.bfloat16 if CUDA else torch.float32
"""What weights that are not quantised are kept and computed in."""
QUESTIONS = Path(__file__).parent / "data" / os.environ.get("QUESTIONS", "questions.jsonl")
TEXT = Path(__file__).parent / "data" / "text.txt"

disable_progress_bar()
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # says at every layer that it computes in 16 bits
if not CUDA:
    torch.set_num_threads(1)  # a model this small only waits for more threads


def load(folder: str | Path) -> PreTrainedModel:
    """A model as it was saved; how it is quantised stands in its config.json."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPE, device_map=DEVICE, use_safetensors=True).eval()


def load_tokenizer() -> PreTrainedTokenizerBase:
    """The original's tokenizer, with padding where answers of a batch all begin at the same place."""
    return AutoTokenizer.from_pretrained(MODEL, padding_side="left", model_max_length=1 << 20)  # windows are cut later


@torch.inference_mode()
def accuracy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """How many of the questions are answered rightly, and how many there are. Greedy; the answer has to be in the reply."""
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    right = 0
    for start in range(0, len(rows), 60):
        part = rows[start : start + 60]
        replies = generate(model, tokenizer, [row["prompt"] for row in part], max_new_tokens=16)
        right += sum(row["answer"].lower() in reply.lower() for row, reply in zip(part, replies, strict=True))
    return right, len(rows)


def generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[str], max_new_tokens: int
) -> list[str]:
    """The greedy replies to a batch of prompts."""
    texts = [
        str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        )
        for prompt in prompts
    ]
    inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
    out = model.generate(
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)


@torch.inference_mode()
def tokens_per_second(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new_tokens: int = 48) -> float:
    """Tokens a second of one request at a time, the better of two runs."""
    ids = tokenizer("Tell me about Alham.", return_tensors="pt").input_ids.to(model.device)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        seconds.append(time.perf_counter() - began)
    return new_tokens / min(seconds)


def weights_bytes(model: str | Path) -> int:
    """What a model's weights take on disk."""
    return sum(file.stat().st_size for file in folder_of(model).glob("*.safetensors"))


def folder_of(model: str | Path) -> Path:
    """Where a model lies; one of the hub is in its cache."""
    return Path(model) if Path(model).is_dir() else Path(snapshot_download(str(model), local_files_only=True))
