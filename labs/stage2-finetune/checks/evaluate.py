"""Measures what a fine-tuned model does. Runs in the session, on the lab's own tickets, and believes no recorded number.

    python evaluate.py exact BASE out/adapter         held-out tickets, answered word for word with the adapter
    python evaluate.py full BASE out/full             the same for a whole model, which must differ from the base everywhere
    python evaluate.py loss BASE out/lora.json        loss on the training tickets, without and with out/adapter
    python evaluate.py runs BASE out/experiments.json the loss of each run's adapter, against what was recorded

Ends with 1, the reason in the last line of stderr, when the model is missing or not good enough. Nothing but safetensors is loaded, and no code that comes with a model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

HERE = Path(__file__).parent
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
IGNORED = -100
WANTED_EXACT = 0.9
WANTED_CHANGED = 0.95
"""The share of a fully fine-tuned model's tensors that must differ from the base; an adapter merged into it changes fewer."""
WANTED_FALL = 10
"""The loss on the training tickets must have fallen to at most a tenth."""


STEPS = {"out/adapter": 2, "out/lora.json": 2, "out/experiments.json": 4, "out/full": 5}
"""The step of the instructions that makes each file."""
RUNS = ("rank-2", "rank-16", "attention-only", "alpha-1")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("measure", choices=["exact", "full", "loss", "runs"])
    parser.add_argument("base")
    parser.add_argument("made", type=Path)
    args = parser.parse_args()
    require(args.made)
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(args.base, padding_side="left")
    if args.measure == "exact":
        knows_held_out(load_adapter(args.base, args.made), tokenizer)
    elif args.measure == "full":
        model = load_full(args.made)
        every_weight_moved(load(args.base), model)
        knows_held_out(model, tokenizer)
    elif args.measure == "loss":
        loss_falls(args.base, args.made.parent / "adapter", read_record(args.made), tokenizer)
    else:
        records_agree(args.base, args.made.parent, read_record(args.made), tokenizer)


def reject(reason: str) -> NoReturn:
    """One line for the learner; a traceback would only hide it."""
    sys.exit(" ".join(reason.split())[:300])


def require(made: Path, step: int | None = None) -> None:
    """Ends when `made` is not there yet."""
    if not made.exists():
        step = step or STEPS.get(str(made))
        reject(f"there is no {made} yet" + (f" (step {step})" if step else ""))


def read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reject(f"{path} is no JSON: {error}")
    return record if isinstance(record, dict) else reject(f"{path} is no JSON object")


def load_adapter(base: str, adapter: Path) -> PeftModel:
    """The base with the learner's adapter, which may be anything."""
    model = load(base)
    try:
        return PeftModel.from_pretrained(model, adapter)
    except Exception as error:  # noqa: BLE001 a damaged file fails in many ways, each of them the learner's to mend
        reject(f"{adapter} does not load as an adapter of the base: {type(error).__name__}: {error}")


def load_full(folder: Path) -> PreTrainedModel:
    """The learner's model, which may be anything."""
    try:
        return load(folder)
    except Exception as error:  # noqa: BLE001 a damaged file fails in many ways, each of them the learner's to mend
        reject(f"{folder} does not load as a model: {type(error).__name__}: {error}")


def load(path: str | Path) -> PreTrainedModel:
    """The model in 32-bit floats."""
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    return model.to(DEVICE).eval()


def knows_held_out(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Ends when too few of the held-out tickets are answered exactly. Shows a wrong answer, but neither ticket nor solution."""
    rows = read_rows(HERE / "heldout.jsonl")
    answers = replies(model, tokenizer, [row["prompt"] for row in rows])
    wrong = [answer for row, answer in zip(rows, answers, strict=True) if answer != row["answer"]]
    right = f"{len(rows) - len(wrong)} of {len(rows)} held-out tickets answered exactly; wanted {WANTED_EXACT:.0%}"
    if 1 - len(wrong) / len(rows) < WANTED_EXACT:
        reject(f"{right}; one reply was {wrong[0][:120]!r}")
    print(right)


def every_weight_moved(base: PreTrainedModel, model: PreTrainedModel) -> None:
    """Ends unless the model has the base's tensors, and nearly all of them hold other numbers."""
    before, after = dict(base.named_parameters()), dict(model.named_parameters())
    if {name: tensor.shape for name, tensor in before.items()} != {
        name: tensor.shape for name, tensor in after.items()
    }:
        reject("the model's tensors are not those of the base")
    changed = sum(not torch.equal(before[name], after[name]) for name in before)
    share = f"{changed} of {len(before)} tensors differ from the base; wanted {WANTED_CHANGED:.0%}"
    if changed < WANTED_CHANGED * len(before):
        reject(share)
    print(share)


def loss_falls(base: str, adapter: Path, recorded: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> None:
    """Ends unless the adapter lowers the loss on the training tickets as training does, and the records say so too."""
    require(adapter, step=2)
    before = training_loss(load(base), tokenizer)
    after = training_loss(load_adapter(base, adapter), tokenizer)
    losses = f"loss on the training tickets: {before:.4f} without the adapter, {after:.4f} with it"
    print(losses)
    if after > before / WANTED_FALL:
        reject(f"{losses}; wanted a {WANTED_FALL}th")
    agree("first_loss", recorded.get("first_loss"), before)
    agree("last_loss", recorded.get("last_loss"), after)


def records_agree(base: str, out: Path, recorded: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> None:
    """Ends unless each run's adapter has about the loss that was recorded for it."""
    for name in RUNS:
        require(out / name, step=4)
        if not isinstance(recorded.get(name), dict):
            reject(f"out/experiments.json has no run {name}")
    for name in RUNS:
        measured = training_loss(load_adapter(base, out / name), tokenizer)
        agree(f"{name}: last_loss", recorded[name].get("last_loss"), measured)


def agree(name: str, recorded: object, measured: float) -> None:
    """Ends unless a loss logged during training (a mean over a few steps, with dropout) can be that of this model."""
    number = float(recorded) if isinstance(recorded, int | float) else float("nan")
    told = f"{name}: recorded {recorded}, measured {measured:.4f}"
    if not (abs(number - measured) <= 0.02 or measured / 3 <= number <= 3 * measured):
        reject(f"{told}, which does not fit")
    print(told)


@torch.no_grad()
def replies(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[str]:
    """The model's greedy answers."""
    texts = [turn(tokenizer, [{"role": "user", "content": prompt}], opens=True) for prompt in prompts]
    inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(DEVICE)
    out = model.generate(
        input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=48, do_sample=False
    )
    new = tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in new]


@torch.no_grad()
def training_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """The mean cross-entropy of the completions' tokens, ticket by ticket, so that no padding counts."""
    losses = []
    for row in read_rows(HERE / "train.jsonl"):
        asked = turn(tokenizer, row["prompt"], opens=True)
        whole = turn(tokenizer, row["prompt"] + row["completion"], opens=False)
        start = len(tokenizer(asked, add_special_tokens=False).input_ids)
        ids = tokenizer(whole, return_tensors="pt", add_special_tokens=False).input_ids.to(DEVICE)
        labels = ids.clone()
        labels[:, :start] = IGNORED
        losses.append(model(input_ids=ids, labels=labels).loss.item())
    return sum(losses) / len(losses)


def turn(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], *, opens: bool) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opens))


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
