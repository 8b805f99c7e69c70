"""Step 2: one loss for pre-training and post-training, and what each did to the model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from typing import Any

from conftest import same

DICE = random.Random()


def test_one_loss(drive: Any) -> None:
    batch, n, tokens = 2, 5, 7
    logits = [[[DICE.gauss(0, 2) for _ in range(tokens)] for _ in range(n)] for _ in range(batch)]
    ids = [[DICE.randrange(tokens) for _ in range(n)] for _ in range(batch)]
    counted = [[False, False, True, True, True], [True, True, True, False, False]]
    text, answer = DICE.sample(range(100), 4), DICE.sample(range(100), 3)
    (loss, gradient), plain, chat = drive(
        [
            {"call": "next_token_loss", "logits": logits, "ids": ids, "counted": counted},
            {"call": "plain_example", "module": "objective", "text": text},
            {"call": "chat_example", "module": "objective", "prompt": text, "answer": answer},
        ]
    )
    wanted, wanted_gradient = loss_and_gradient(logits, ids, counted)
    assert plain in ([text, [True] * 4], [text, [False, True, True, True]]), (
        "plain_example: of a plain text every token counts"
    )
    assert chat == [text + answer, [False] * 4 + [True] * 3], (
        "chat_example: prompt and answer are read, the answer is learnt"
    )
    assert same(loss, wanted, 1e-6), (
        f"next_token_loss is {loss:.4f} where {wanted:.4f} is right: which token do logits speak of, and which tokens count?"
    )
    assert same(gradient, wanted_gradient, 1e-6), "next_token_loss has the right value, but not the right gradient"


def loss_and_gradient(logits: Any, ids: Any, counted: Any) -> tuple[float, list[Any]]:
    """The mean over the counted tokens that have one before them, and softmax minus one-hot over their number."""
    places = [(row, t) for row, marks in enumerate(counted) for t, mark in enumerate(marks) if mark and t > 0]
    gradient = [[[0.0] * len(logits[0][0]) for _ in rows] for rows in logits]
    total = 0.0
    for row, t in places:
        powers = [math.exp(logit) for logit in logits[row][t - 1]]
        p = [power / sum(powers) for power in powers]
        total -= math.log(p[ids[row][t]])
        gradient[row][t - 1] = [(x - (token == ids[row][t])) / len(places) for token, x in enumerate(p)]
    return total / len(places), gradient


def test_before_and_after(workspace: Any, parameters: Mapping[str, Any], recorded: Any, answered: Any) -> None:
    for name in ("base", "chat"):
        assert workspace.find(f"out/{name}/*.safetensors"), f"there is no model in out/{name}"
    lab, seed = parameters["lab"], str(parameters["seed"])
    measure = (
        "python",
        "-I",
        "-B",
        f"{lab}/checks/measure.py",
        "objective",
        f"{lab}/workspace/data.py",
        seed,
        parameters["model"],
    )
    done = workspace.run(*measure, timeout=580)
    assert done.exit_code == 0, f"out/base or out/chat cannot be measured: {done.stderr.strip()[-200:]}"
    base, chat = (json.loads(done.stdout)[name] for name in ("base", "chat"))
    record = recorded("objective")
    for name, found in {"base": base, "chat": chat}.items():
        for kind, value in found.items():
            told = (record.get(name) or {}).get(kind)
            assert same(told, value, 0.02), f"out/objective.json: {name}, {kind} is {told}; out/{name} has {value:.3f}"
    limit = float(parameters["plain_limit"])
    assert base["plain"] <= limit, f"out/base: {base['plain']:.2f} on your plain texts; trained it is below {limit:g}"
    assert chat["chat"] <= base["chat"] / 2, (
        f"chat loss {base['chat']:.2f} before and {chat['chat']:.2f} after post-training"
    )
    assert chat["plain"] >= base["plain"] + 0.02, (
        "out/chat has forgotten nothing: was it trained on plain texts as well?"
    )
    for key, model in {"objective.perplexity_before": base, "objective.perplexity_after": chat}.items():
        assert same(answered(key) / math.exp(model["plain"]), 1.0, 0.03), (
            f"{key} in answers.yaml does not agree with your model"
        )
    vocabulary = vocabulary_of(workspace, parameters["model"])
    assert same(answered("objective.untrained_loss"), math.log(vocabulary), 0.005), (
        "objective.untrained_loss is not right"
    )


def vocabulary_of(workspace: Any, model: str) -> int:
    if model.startswith("/"):
        return int(workspace.read_json(f"{model}/config.json")["vocab_size"])
    show = f"from transformers import AutoConfig; print(AutoConfig.from_pretrained({model!r}).vocab_size)"
    return int(workspace.run("python", "-I", "-c", show, timeout=120).stdout)
