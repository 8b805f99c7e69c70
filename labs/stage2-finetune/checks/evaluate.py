"""Measures what a fine-tuned model does. Runs in the session, on the lab's own tickets, and believes no recorded number.

    python evaluate.py exact BASE out/adapter         held-out tickets, answered word for word with the adapter
    python evaluate.py full BASE out/full             the same for a whole model, which must differ from the base everywhere
    python evaluate.py loss BASE out/lora.json        loss on the training tickets, without and with out/adapter
    python evaluate.py runs BASE out/experiments.json the loss of each run's adapter, against what was recorded

Ends with 1 when the model is not good enough. Nothing but safetensors is loaded, and no code that comes with a model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

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


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("measure", choices=["exact", "full", "loss", "runs"])
    parser.add_argument("base")
    parser.add_argument("made", type=Path)
    args = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(args.base, padding_side="left")
    if args.measure == "exact":
        return knows_held_out(PeftModel.from_pretrained(load(args.base), args.made), tokenizer)
    if args.measure == "full":
        model = load(args.made)
        return every_weight_moved(load(args.base), model) or knows_held_out(model, tokenizer)
    recorded = json.loads(args.made.read_text(encoding="utf-8"))
    if args.measure == "loss":
        return loss_falls(load(args.base), args.made.parent / "adapter", recorded, tokenizer)
    return records_agree(args.base, args.made.parent, recorded, tokenizer)


def load(path: str | Path) -> PreTrainedModel:
    """The model in 32-bit floats."""
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    return model.to(DEVICE).eval()


def knows_held_out(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """0 when enough of the held-out tickets are answered exactly; shows a wrong answer otherwise."""
    rows = read_rows(HERE / "heldout.jsonl")
    answers = replies(model, tokenizer, [row["prompt"] for row in rows])
    wrong = [(row, answer) for row, answer in zip(rows, answers, strict=True) if answer != row["answer"]]
    share = 1 - len(wrong) / len(rows)
    print(f"{len(rows) - len(wrong)} of {len(rows)} held-out tickets answered exactly; wanted {WANTED_EXACT:.0%}")
    if wrong:
        row, answer = wrong[0]
        print(f"for example {row['prompt']!r} → {answer!r}")
    return 0 if share >= WANTED_EXACT else 1


def every_weight_moved(base: PreTrainedModel, model: PreTrainedModel) -> int:
    """0 when the model has the base's tensors, and nearly all of them hold other numbers."""
    before, after = dict(base.named_parameters()), dict(model.named_parameters())
    if {name: tensor.shape for name, tensor in before.items()} != {
        name: tensor.shape for name, tensor in after.items()
    }:
        print("the model's tensors are not those of the base")
        return 1
    changed = sum(not torch.equal(before[name], after[name]) for name in before)
    print(f"{changed} of {len(before)} tensors differ from the base; wanted {WANTED_CHANGED:.0%}")
    return 0 if changed >= WANTED_CHANGED * len(before) else 1


def loss_falls(model: PreTrainedModel, adapter: Path, recorded: dict, tokenizer: PreTrainedTokenizerBase) -> int:
    """0 when the adapter lowers the loss on the training tickets as training does, and the records say so too."""
    before = training_loss(model, tokenizer)
    after = training_loss(PeftModel.from_pretrained(model, adapter), tokenizer)
    print(
        f"loss on the training tickets: {before:.4f} without the adapter, {after:.4f} with it; wanted: a {WANTED_FALL}th"
    )
    told = [
        agree("first_loss", recorded.get("first_loss"), before),
        agree("last_loss", recorded.get("last_loss"), after),
    ]
    return 0 if after <= before / WANTED_FALL and all(told) else 1


def records_agree(base: str, out: Path, recorded: dict, tokenizer: PreTrainedTokenizerBase) -> int:
    """0 when each run's adapter has about the loss that was recorded for it."""
    told = []
    for name in ("rank-2", "rank-16", "attention-only", "alpha-1"):
        measured = training_loss(PeftModel.from_pretrained(load(base), out / name), tokenizer)
        told.append(agree(f"{name}: last_loss", (recorded.get(name) or {}).get("last_loss"), measured))
    return 0 if all(told) else 1


def agree(name: str, recorded: object, measured: float) -> bool:
    """Whether a loss logged during training (a mean over a few steps, with dropout) can be that of this model."""
    number = float(recorded) if isinstance(recorded, int | float) else float("nan")
    fits = abs(number - measured) <= 0.02 or measured / 3 <= number <= 3 * measured
    print(f"{name}: recorded {recorded}, measured {measured:.4f}{'' if fits else ', which does not fit'}")
    return fits


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
    sys.exit(main())
