"""The window, reranking and compression. Learner's code runs in the session; here its output is judged."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

WINDOWS = [512, 1024, 2048, 4096]
SYSTEM = "Answer from the passages and from nothing else. If they do not say it, say that you do not know."
ANSWER_TOKENS = 48
HISTORY_SHARE = 0.25
MEASURED, CANDIDATES, QUESTIONS = 16, 12, 48
WANTED_GAIN = 1.2
BUDGET = 48
ASKED = 12
WANTED_KEPT = 0.7
CHANCE = random.Random()


def test_plan_keeps_what_matters(workspace: Any, parameters: Mapping[str, Any]) -> None:
    plans = [a_plan() for _ in range(40)]
    fits = [[[words(CHANCE.randrange(1, 9)) for _ in range(8)], CHANCE.randrange(30)] for _ in range(10)]
    said = ran(workspace, parameters, "functions.py", {"part": "window", "fits": fits, "plans": plans})
    for (texts, budget), kept in zip(fits, said["fits"], strict=True):
        assert kept == fit(texts, budget), (
            f"fit: texts of {[size(text) for text in texts]} tokens into {budget}: {len(kept)} kept"
        )
    for case, made in zip(plans, said["plans"], strict=True):
        fixed = size(case["system"]) + size(case["question"]) + case["answer"]
        told = f"window {case['window']}, of which system, question and answer need {fixed}"
        if case["window"] < fixed:
            assert "refused" in made, f"plan: {told}: wanted a ValueError"
            continue
        left = case["window"] - fixed
        history = fit(case["history"][::-1], int(HISTORY_SHARE * left))[::-1]
        passages = fit(case["passages"], left - sum(map(size, history)))
        assert "refused" not in made, f"plan: {told}: refused, though it fits"
        assert made.get("history") == history, (
            f"plan: {told}: {len(made.get('history') or [])} turns of history; wanted {len(history)}"
        )
        assert made.get("passages") == passages, (
            f"plan: {told}: {len(made.get('passages') or [])} passages; wanted {len(passages)}"
        )


def test_window_was_measured(workspace: Any, parameters: Mapping[str, Any]) -> None:
    rows = workspace.read_json("out/window.json")
    good = isinstance(rows, list) and [row.get("window") for row in rows if isinstance(row, dict)] == WINDOWS
    assert good, f"out/window.json wants a row for each of the windows {WINDOWS}"
    given = {"session": parameters["session"], "windows": WINDOWS, "system": SYSTEM, "answer": ANSWER_TOKENS}
    for row, again in zip(rows, ran(workspace, parameters, "measured.py", given, "window", isolated=True), strict=True):
        for figure in ("facts_naive", "questions_naive", "facts_planned"):
            assert near(row.get(figure), again[figure], 0.5 / QUESTIONS), (
                f"out/window.json: {figure} of window {row['window']} is {row.get(figure)}, measured again {again[figure]:.3f}"
            )


def test_window_is_read_right(workspace: Any) -> None:
    rows, said = workspace.read_json("out/window.json"), answers(workspace, "window")
    assert str(said.get("first_to_go")).strip().lower() == "question", (
        "window.first_to_go in answers.yaml: look at questions_naive"
    )
    wanted = 100 * rows[0]["facts_naive"]
    assert near(said.get("naive_facts_at_512"), wanted, 0.6), (
        "window.naive_facts_at_512 is not what out/window.json says"
    )
    whole = next((row["window"] for row in rows if row["facts_planned"] == 1), "none")
    assert said.get("window_for_all_facts") == whole, "window.window_for_all_facts is not what out/window.json says"


def test_two_stages(workspace: Any, parameters: Mapping[str, Any]) -> None:
    texts = [scored_text(number) for number in range(30)]
    candidates = CHANCE.sample(range(30), 8)
    rankings = [[[4, 2, 9], 4], [[4, 2, 9], 2], [[4, 2, 9], 9], [[4, 2, 9], 5]]
    given = {"part": "rerank", "texts": texts, "k": 9, "candidates": candidates, "rankings": rankings}
    said = ran(workspace, parameters, "functions.py", given)
    by_embedding = sorted(range(30), key=lambda index: -value(texts[index], 0))[:9]
    assert said["retrieved"] == by_embedding, "retrieve does not give the nearest by embedding, best first"
    assert said["reranked"] == sorted(candidates, key=lambda index: -value(texts[index], 1)), (
        "rerank does not give the candidates in the order of the cross-encoder"
    )
    assert sorted(said["read"]) == sorted(texts[index] for index in candidates), (
        f"rerank had {len(said['read'])} texts read by the cross-encoder for {len(candidates)} candidates"
    )
    wanted = [1, 1 / math.log2(3), 0.5, 0]
    assert all(near(x, y) for x, y in zip(said["ndcg"], wanted, strict=True)), f"ndcg gives {said['ndcg']}"


def test_reranking_is_better(workspace: Any, parameters: Mapping[str, Any]) -> None:
    row = workspace.read_json("out/rerank.json")
    again = ran(
        workspace, parameters, "measured.py", {"session": parameters["session"]}, "rerank", isolated=True, timeout=600
    )
    for figure, measured in again.items():
        assert near(row.get(figure), measured, 0.5 / MEASURED), (
            f"out/rerank.json: {figure} is {row.get(figure)}, measured again {measured:.3f}"
        )
    gain = row["ndcg_reranked"] / max(row["ndcg_retrieved"], 1e-9)
    assert gain >= WANTED_GAIN, f"nDCG after reranking is {gain:.2f} times that before; wanted {WANTED_GAIN}"


def test_rerank_is_read_right(workspace: Any) -> None:
    row, said = workspace.read_json("out/rerank.json"), answers(workspace, "rerank")
    wanted = {
        "gain_in_first": (row["first_reranked"] / max(row["first_retrieved"], 1e-9), 0.02),
        "pairs_read": (MEASURED * CANDIDATES, 0),
        "pairs_without_retriever": (MEASURED * QUESTIONS, 0),
    }
    wrong = [key for key, (number, tolerance) in wanted.items() if not near(said.get(key), number, tolerance)]
    assert not wrong, f"rerank.{', rerank.'.join(wrong)} in answers.yaml: not right"


def test_drill_down(workspace: Any, parameters: Mapping[str, Any]) -> None:
    sections = [{"title": scored_text(n), "paragraphs": [paragraph(n, m) for m in range(3)]} for n in range(6)]
    keep = (2, 3, 4)
    said = ran(workspace, parameters, "functions.py", {"part": "compress", "sections": sections, "keep": keep})
    chosen = sorted(sections, key=lambda one: -value(one["title"], 0))[:2]
    paragraphs = sorted((text for one in chosen for text in one["paragraphs"]), key=lambda text: -value(text, 0))[:3]
    lines = [f"{part}." for text in paragraphs for part in text.rstrip(".").split(". ")]
    by_embedding = sorted(lines, key=lambda text: -value(text, 0))[:4]
    by_reranker = sorted(lines, key=lambda text: -value(text, 1))[:4]
    outside = [text for text in said["found"] if text not in lines]
    assert not outside, "drill_down gives a sentence that is not of the best sections' best paragraphs"
    assert said["found"] in (by_embedding, by_reranker), (
        "drill_down does not give the best sentences of those, best first"
    )


def test_facts_survive_compression(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    seed = f"unseen-{CHANCE.randrange(10**9)}"
    corpus = load_corpus(lab)
    asked = corpus.questions(seed)[:ASKED]
    given = {"seed": seed, "questions": [question.text for question in asked], "budget": BUDGET}
    contexts = ran(workspace, parameters, "contexts.py", given, timeout=600)
    assert len(contexts) == ASKED, "compress does not give a text for each question"
    sizes = ran(workspace, parameters, "measured.py", {"texts": contexts}, "tokens", isolated=True)
    assert max(sizes) <= BUDGET, f"a context has {max(sizes)} tokens; the budget is {BUDGET}"
    known = {
        line for section in corpus.sections(seed) for text in section.paragraphs for line in corpus.sentences(text)
    }
    broken = [text for text in contexts if any(line not in known for line in corpus.sentences(text))]
    assert not broken, "a context holds something that is no whole sentence of the manual"
    kept = sum(question.fact in text for question, text in zip(asked, contexts, strict=True))
    told = f"{kept} of {ASKED} facts are left in contexts of at most {BUDGET} tokens, on a manual you have not seen"
    assert kept >= WANTED_KEPT * ASKED, f"{told}; wanted {WANTED_KEPT:.0%}"


def load_corpus(lab: Path) -> Any:
    spec = importlib.util.spec_from_file_location("corpus_of_the_check", lab / "checks" / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def a_plan() -> dict[str, Any]:
    return {
        "window": CHANCE.randrange(10, 160),
        "system": words(CHANCE.randrange(1, 12)),
        "history": [words(CHANCE.randrange(1, 9)) for _ in range(CHANCE.randrange(7))],
        "passages": [words(CHANCE.randrange(3, 30)) for _ in range(CHANCE.randrange(9))],
        "question": words(CHANCE.randrange(1, 12)),
        "answer": CHANCE.randrange(5, 25),
    }


def fit(texts: Sequence[str], budget: int) -> list[str]:
    kept: list[str] = []
    for text in texts:
        budget -= size(text)
        if budget < 0:
            break
        kept.append(text)
    return kept


def size(text: str) -> int:
    return len(text.split())


def words(count: int) -> str:
    return " ".join(f"w{CHANCE.randrange(10**6)}" for _ in range(count))


def scored_text(number: int) -> str:
    """A text whose last word holds its scores: those of the two models have nothing to do with each other."""
    return f"Text {number} {CHANCE.random():.9f}:{CHANCE.random():.9f}"


def paragraph(section: int, number: int) -> str:
    return " ".join(
        f"Line {line} of {number} in {section} {CHANCE.random():.9f}:{CHANCE.random():.9f}." for line in range(3)
    )


def value(text: str, place: int) -> float:
    return float(text.split()[-1].rstrip(".").split(":")[place])


def ran(
    workspace: Any, parameters: Mapping[str, Any], script: str, given: Any, *words: str, isolated: bool = False,
    timeout: float = 240,
) -> Any:  # fmt: skip
    """What a script of this folder prints in the session, for `given` on its stdin."""
    flags = ["-I", "-B"] if isolated else ["-B"]
    path = f"{parameters['lab']}/checks/{script}"
    result = workspace.run("python", *flags, path, *words, stdin=json.dumps(given), timeout=timeout)
    last = (result.stderr.strip().splitlines() or ["nothing"])[-1]
    if isolated and result.exit_code != 0:  # no line of the learner's ran
        pytest.skip(f"measuring again did not work: {last[:300]}")
    assert result.exit_code == 0, f"your code ended with an error: {last[:300]}"
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        pytest.fail(f"your code printed {result.stdout[:200]!r} besides what it returned")


def answers(workspace: Any, part: str) -> dict[str, Any]:
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    return given.get(part) or {}


def near(said: Any, wanted: float, tolerance: float = 1e-5) -> bool:
    number = float(said) if isinstance(said, int | float) and not isinstance(said, bool) else math.nan
    return abs(number - wanted) <= tolerance + 1e-9
