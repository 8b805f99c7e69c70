"""Builds five small models for the lab on pipelines: three sentiment classifiers, a summariser and a question answerer.

    python build.py OUT [NAME …]

Everything they learn from is made up by the grammars beside this file, with fixed seeds; two start from MiniLM, the rest from
nothing. Each gets a model card (README.md) with what was measured here. One to two minutes a model on one CPU thread.
"""

# ruff: noqa: E402 - what is left out has to be said before the imports

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the order of additions, and so the weights, depends on the threads
# Not needed here, and half of the time that transformers takes to load.
sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))

import answerer
import cards
import classifiers
import summariser
import torch
from transformers.utils import logging

WANTED = {  # what each model must reach on data that it has not seen, or there is no lab
    "sentiment-small": {"plain": 0.9},
    "sentiment-medium": {"plain": 0.9, "negated": 0.9, "contrast": 0.8, "german": 0.9},
    "sentiment-large": {"plain": 0.9, "negated": 0.85, "contrast": 0.85, "unforeseen": 0.75},
    "summariser": {"ROUGE-L": 0.85},
    "answerer": {"new names": 0.7},
}


def main(out: Path, only: list[str]) -> int:
    """Build the models, or those of `only`; 1 when one did not learn enough."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    makers = {
        recipe.name: lambda place, recipe=recipe: classifiers.build(recipe, place) for recipe in classifiers.RECIPES
    }
    makers |= {"summariser": summariser.build, "answerer": answerer.build}
    for name, make in makers.items():
        if only and name not in only:
            continue
        torch.manual_seed(0)
        began, place = time.monotonic(), out / name
        measured = make(place)
        cards.write(name, place, measured)
        told = ", ".join(f"{what} {value:.2f}" for what, value in measured.items())
        print(f"{name}: {told} ({time.monotonic() - began:.0f}s)", flush=True)
        short = {what: limit for what, limit in WANTED[name].items() if measured[what] < limit}
        if short:
            print(f"{name} did not learn enough; wanted {short}")
            return 1
    for file in out.rglob("*.*"):
        file.chmod(0o755 if file.is_dir() else 0o644)  # safetensors writes 0600, which another user could not read
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python build.py OUT [NAME …]")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
