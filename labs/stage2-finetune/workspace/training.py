"""What every run of this lab shares: the base model, the tickets, the trainer's settings, and what a run cost.

Given. Read it once: the files you complete call it, and nothing in it is specific to LoRA.
"""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars, load_dataset
from huggingface_hub import snapshot_download
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerState,
    set_seed,
)
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

BASE = os.environ["MODEL_PATH"]
CUDA = torch.cuda.is_available()
HERE = Path(__file__).parent

# The profile of the lab sets these: a model of a million parameters takes far larger steps than one of half a billion.
LORA_LEARNING_RATE = float(os.environ.get("LORA_LEARNING_RATE", "2e-3"))
FULL_LEARNING_RATE = float(os.environ.get("FULL_LEARNING_RATE", "5e-4"))

logging.disable_progress_bar()
disable_progress_bars()
if not CUDA:
    torch.set_num_threads(1)  # a model this small only waits for more threads


def _print_step_and_loss(
    callback: PrinterCallback, args: SFTConfig, state: TrainerState, control: object, logs: dict[str, Any], **_: Any
) -> None:
    if "loss" in logs:
        print(f"step {state.global_step:4d}   loss {float(logs['loss']):.4f}", flush=True)


PrinterCallback.on_log = _print_step_and_loss  # the trainer's own prints a dozen figures each time


def load_base() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A fresh copy of the base model in 32-bit floats, and its tokenizer."""
    set_seed(0)  # the same initial adapter and the same order of tickets in every run, so that runs can be compared
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(BASE)


def load_tickets() -> Dataset:
    """The training tickets as TRL's conversational `prompt` and `completion`; the loss counts the completion only."""
    return load_dataset("json", data_files=str(HERE / "data" / "train.jsonl"), split="train")


def settings(output_dir: Path, *, learning_rate: float, epochs: int) -> SFTConfig:
    """The trainer's settings. 152 tickets in batches of 8 are 19 steps an epoch; every 5th step's loss is logged."""
    return SFTConfig(
        output_dir=str(output_dir),
        learning_rate=learning_rate,
        num_train_epochs=epochs,
        per_device_train_batch_size=8,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        logging_steps=5,
        max_length=128,
        use_cpu=not CUDA,
        bf16=CUDA,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=0,
    )


def cost(trainer: SFTTrainer) -> dict[str, Any]:
    """What a finished run cost, as measured: parameters that were trained, memory, optimizer state, losses."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    state = [value for values in trainer.optimizer.state.values() for value in values.values()]
    return {
        "trainable_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "peak_memory_mib": round(_peak_memory_mib(), 1),
        "optimizer_bytes": sum(t.numel() * t.element_size() for t in state if torch.is_tensor(t)),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def base_sha256() -> str:
    """sha256 over the weight files of the base model, as they are on disk now."""
    folder = Path(BASE) if Path(BASE).is_dir() else Path(snapshot_download(BASE, local_files_only=True))
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _peak_memory_mib() -> float:
    if CUDA:
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of this whole process, libraries included
