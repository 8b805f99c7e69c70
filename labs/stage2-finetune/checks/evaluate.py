"""Measures what a fine-tuned model does. Runs in the session, on the lab's own tickets, and believes no recorded number.

    python evaluate.py BASE MEASURE…

    exact   held-out tickets, answered word for word with out/adapter
    full    the same for the whole model out/full, which must differ from the base everywhere
    loss    loss on the training tickets, without and with out/adapter, against out/lora.json
    runs    the loss of each run's adapter, against out/experiments.json

Prints a JSON object, for each measure `told`, what was seen, and `good`, whether the model is there and good enough. Nothing but
safetensors is loaded, and no code that comes with a model.
"""

# ruff: noqa: E402 - what is not needed has to be out of the way first

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

# Not needed here, and much of the time that transformers takes to load.
sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))

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


ADAPTER, FULL = Path("out/adapter"), Path("out/full")
RECORD, EXPERIMENTS = Path("out/lora.json"), Path("out/experiments.json")
STEPS = {ADAPTER: 2, RECORD: 2, EXPERIMENTS: 4, FULL: 5}
"""The step of the instructions that makes each file."""
RUNS = ("rank-2", "rank-16", "attention-only", "alpha-1")


class Rejected(Exception):
    """The learner's model is missing or not good enough; the message is for the learner."""


def main(base: str, measures: Sequence[str]) -> None:
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    found = {}
    for name in measures:
        try:
            found[name] = {"good": True, "told": MEASURES[name](base, tokenizer)}
        except Rejected as reason:
            found[name] = {"good": False, "told": " ".join(str(reason).split())[:300]}
        except Exception as error:  # noqa: BLE001 what is damaged in one place must not hide the others
            found[name] = {"good": False, "told": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(found))


def reject(reason: str) -> NoReturn:
    raise Rejected(reason)


def require(made: Path, step: int | None = None) -> None:
    """Refuses what is not there yet."""
    if not made.exists():
        step = step or STEPS.get(made)
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


def exact(base: str, tokenizer: PreTrainedTokenizerBase) -> str:
    require(ADAPTER)
    return knows_held_out(load_adapter(base, ADAPTER), tokenizer)


def full(base: str, tokenizer: PreTrainedTokenizerBase) -> str:
    require(FULL)
    model = load_full(FULL)
    moved = every_weight_moved(load(base), model)
    return f"{moved}; {knows_held_out(model, tokenizer)}"


def knows_held_out(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """How many of the held-out tickets are answered exactly; too few are refused. Shows a wrong answer, but neither ticket nor solution."""
    rows = read_rows(HERE / "heldout.jsonl")
    answers = replies(model, tokenizer, [row["prompt"] for row in rows])
    wrong = [answer for row, answer in zip(rows, answers, strict=True) if answer != row["answer"]]
    right = f"{len(rows) - len(wrong)} of {len(rows)} held-out tickets answered exactly; wanted {WANTED_EXACT:.0%}"
    if 1 - len(wrong) / len(rows) < WANTED_EXACT:
        reject(f"{right}; one reply was {wrong[0][:120]!r}")
    return right


def every_weight_moved(base: PreTrainedModel, model: PreTrainedModel) -> str:
    """How many tensors hold other numbers than the base's, nearly all of which must; there must be the same."""
    before, after = dict(base.named_parameters()), dict(model.named_parameters())
    if {name: tensor.shape for name, tensor in before.items()} != {
        name: tensor.shape for name, tensor in after.items()
    }:
        reject("the model's tensors are not those of the base")
    changed = sum(not torch.equal(before[name], after[name]) for name in before)
    share = f"{changed} of {len(before)} tensors differ from the base; wanted {WANTED_CHANGED:.0%}"
    if changed < WANTED_CHANGED * len(before):
        reject(share)
    return share


def loss(base: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The adapter lowers the loss on the training tickets as training does, and the records say so too."""
    require(RECORD)
    require(ADAPTER)
    recorded = read_record(RECORD)
    before = training_loss(load(base), tokenizer)
    after = training_loss(load_adapter(base, ADAPTER), tokenizer)
    losses = f"loss on the training tickets: {before:.4f} without the adapter, {after:.4f} with it"
    if after > before / WANTED_FALL:
        reject(f"{losses}; wanted a {WANTED_FALL}th")
    agree("first_loss", recorded.get("first_loss"), before)
    agree("last_loss", recorded.get("last_loss"), after)
    return losses


def runs(base: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Each run's adapter has about the loss that was recorded for it."""
    require(EXPERIMENTS)
    recorded = read_record(EXPERIMENTS)
    for name in RUNS:
        require(EXPERIMENTS.parent / name, step=4)
        if not isinstance(recorded.get(name), dict):
            reject(f"{EXPERIMENTS} has no run {name}")
    return "; ".join(
        agree(
            f"{name}: last_loss",
            recorded[name].get("last_loss"),
            training_loss(load_adapter(base, EXPERIMENTS.parent / name), tokenizer),
        )
        for name in RUNS
    )


MEASURES = {"exact": exact, "full": full, "loss": loss, "runs": runs}


def agree(name: str, recorded: object, measured: float) -> str:
    """A loss logged during training (a mean over a few steps, with dropout) can be that of this model, or is refused."""
    number = float(recorded) if isinstance(recorded, int | float) else float("nan")
    told = f"{name}: recorded {recorded}, measured {measured:.4f}"
    if not (abs(number - measured) <= 0.02 or measured / 3 <= number <= 3 * measured):
        reject(f"{told}, which does not fit")
    return told


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
    main(sys.argv[1], sys.argv[2:])
