"""Judges the learner's functions by what they return for texts made up here, and the records by measuring again.

Run outside the session. The learner's code runs in the session, called by drive.py; reference.py works out what is right.
"""

from __future__ import annotations

import ast
import json
import math
import random
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

MODELS = ("small", "medium", "large")
KINDS = ("plain", "negated", "contrast", "unforeseen")
LIMIT_S = 400
"""For each part of what a process in the session is asked; loading the libraries alone takes half a minute on a busy machine."""

chance = random.Random()


def test_three_tasks(session: Session, asked: Asked, parameters: Mapping[str, Any]) -> None:
    found = session.driven("tasks", "tasks.py")
    reviews, reports, questions = asked.reviews, asked.reports, asked.questions

    labels = texts_of(found, "classify", len(reviews))
    right = sum(label == row["label"] for label, row in zip(labels, reviews, strict=True))
    assert right >= 16, f"classify labels {right} of 20 plain reviews rightly; wanted at least 16"
    summaries = texts_of(found, "summarise", len(reports))
    rouge = sum(rouge_l(made, row["summary"]) for made, row in zip(summaries, reports, strict=True)) / len(reports)
    wanted = float(parameters["rouge"])
    assert rouge >= wanted, (
        f"summaries of reports that you do not have reach ROUGE-L {rouge:.2f}; wanted at least {wanted}. "
        f"One of them: {summaries[0][:150]!r}"
    )
    answers = texts_of(found, "answer", len(questions))
    right = sum(plain(made) == plain(row["answer"]) for made, row in zip(answers, questions, strict=True))
    assert right >= 12, f"{right} of 20 questions that you do not have are answered exactly; wanted at least 12"


def test_by_hand(session: Session, asked: Asked, parameters: Mapping[str, Any]) -> None:
    found = session.driven("by-hand", "by_hand.py")
    answers = {name: value_of(found, name) for name in MODELS}
    wanted = session.right("by-hand")
    for name, mine in answers.items():
        whole = isinstance(mine, list) and len(mine) == len(asked.texts)
        assert whole, f"{name}: wanted one answer for each text"
        for text, one, other in zip(asked.texts, mine, wanted[name], strict=True):
            of = f"the text {text[:60]!r}" if len(text) < 200 else f"a text of {len(text.split())} words"
            told = f"{name}, in a batch of {len(mine)}, {of}"
            assert (one or {}).get("label") == other["label"], (
                f"{told}: {one} by hand, {other['label']} from the pipeline"
            )
            assert near(one.get("score"), other["score"], float(parameters["tolerance"])), (
                f"{told}: score {one.get('score')} by hand, {other['score']:.7f} from the pipeline"
            )


def test_own_pipeline(session: Session, asked: Asked, parameters: Mapping[str, Any]) -> None:
    found, tolerance = session.driven("own-pipeline", "qa.py"), float(parameters["tolerance"])
    for case, one in zip(asked.spans, value_of(found, "spans"), strict=True):
        first, last, score = best_span(case)
        same = one[:2] == [first, last] and len(one) == 3 and near(one[2], score, 1e-5)
        assert same, (
            f"best_span of begins {short(case['begins'])}, ends {short(case['ends'])}, allowed "
            f"{''.join('01'[ok] for ok in case['allowed'])}, longest {case['longest']} is {one}; look at that by hand"
        )
    for question, one, other in zip(
        asked.passages, value_of(found, "answers"), session.right("own-pipeline"), strict=True
    ):
        same = all(one[name] == other[name] for name in ("answer", "start", "end"))
        same = same and near(one["score"], other["score"], tolerance)
        assert same, (
            f"the pipeline says {one} to {question['question']!r}; the model's best span is another, or scored otherwise"
        )


def test_limits(session: Session, workspace: Any) -> None:
    recorded = workspace.read_json("out/limits.json")
    assert isinstance(recorded, dict), "out/limits.json: wanted one entry a model"
    measured = session.right("limits")
    for name in MODELS:
        mine, other = recorded.get(name) or {}, measured[name]
        for key in ("tokens", "read", "label", "label_of_end"):
            assert mine.get(key) == other[key], (
                f"out/limits.json, {name}: {key} is {mine.get(key)!r}, measured otherwise"
            )
        unread = " ".join(str(mine.get("unread")).split())
        assert unread == " ".join(other["unread"].split()), (
            f"out/limits.json, {name}: unread begins {unread[:60]!r} and has {len(unread)} characters; "
            "that is not what is cut off"
        )
        assert near(mine.get("german"), other["german"], 0.04), (
            f"out/limits.json, {name}: german is {mine.get('german')}, measured otherwise"
        )


def test_comparison(session: Session, workspace: Any) -> None:
    recorded = workspace.read_json("out/comparison.json")
    assert isinstance(recorded, dict), "out/comparison.json: wanted one entry a model"
    times = [(recorded.get(name) or {}).get("ms_per_text") for name in MODELS]
    assert all(isinstance(time, int | float) and time > 0 for time in times), "not every model has its ms_per_text"
    measured = session.right("comparison")
    for name in MODELS:
        mine, other = recorded[name], measured[name]
        for key in ("label", "turned", "parameters", "bytes"):
            assert mine.get(key) == other[key], (
                f"out/comparison.json, {name}: {key} is {mine.get(key)}, measured otherwise"
            )
        of_kind = mine.get("by_kind") or {}
        pairs = {kind: (of_kind.get(kind), other["by_kind"][kind], 0.02) for kind in KINDS}
        pairs |= {
            "score": (mine.get("score"), other["score"], 1e-3),
            "accuracy": (mine.get("accuracy"), other["accuracy"], 0.01),
        }
        for key, (one, wanted, off) in pairs.items():
            assert near(one, wanted, off), f"out/comparison.json, {name}: {key} is {one}, measured otherwise"


def test_untrained_head(workspace: Any) -> None:
    recorded = workspace.read_json("out/comparison.json").get("untrained") or {}
    missing, scores = recorded.get("missing"), recorded.get("scores")
    heads = isinstance(missing, list) and {str(name).rpartition(".")[2] for name in missing} == {"weight", "bias"}
    heads = heads and all("classifier" in name for name in missing)
    assert heads, f"untrained.missing is {missing}; wanted the names of the weights that the file does not have"
    two = isinstance(scores, list) and len(scores) == 2 and all(near(score, 0.5, 0.49) for score in scores)
    assert two, f"untrained.scores is {scores}; wanted two probabilities"
    assert not near(scores[0], scores[1], 1e-6), "both loads gave the same score; was the model loaded twice?"


def test_choices(workspace: Any, parameters: Mapping[str, Any]) -> None:
    compared, given = workspace.read_json("out/comparison.json"), yaml.safe_load(workspace.read_text("answers.yaml"))
    found = {name: compared[name] for name in MODELS}
    plain_best = max(values["by_kind"]["plain"] for values in found.values())
    near_best = [name for name in MODELS if found[name]["by_kind"]["plain"] >= plain_best - 0.1 - 1e-9]
    fits = [name for name in MODELS if found[name]["bytes"] <= float(parameters["size_limit_mb"]) * 1e6]
    wanted = {
        "million_a_day": tops(near_best, lambda name: -found[name]["bytes"]),
        "small_device": tops(fits, lambda name: found[name]["accuracy"]),
        "letters": tops(MODELS, lambda name: found[name]["by_kind"]["unforeseen"]),
    }
    choices = (given or {}).get("choices") or {}
    for key, right in wanted.items():
        assert choices.get(key), f"choices.{key} in answers.yaml is not answered yet"
        assert choices[key] in right, (
            f"choices.{key} in answers.yaml is {choices[key]!r}; your own numbers say otherwise"
        )


class Asked:
    """What the learner's code is asked in this run: texts that no learner has."""

    def __init__(self, checks: Path) -> None:
        plain = [row for row in read(checks, "data/reviews.jsonl") if row["kind"] == "plain"]
        self.reviews, self.reports = chance.sample(plain, 20), chance.sample(read(checks, "reports.jsonl"), 12)
        self.questions = chance.sample(read(checks, "questions.jsonl"), 20)
        rows = read(checks, "data/reviews.jsonl")
        long = " ".join(f"{word()} {row['text']}" for row in rows[:150])
        self.texts = [f"{row['text']} {word()}" for row in chance.sample(rows, 6)] + ["Good.", long]
        self.spans = [span_case() for _ in range(60)]
        rows = chance.sample(read(checks, "questions.jsonl"), 10)
        self.passages = [{"question": row["question"], "context": f"{word()}. {row['context']}"} for row in rows]

    def parts(self) -> dict[str, dict[str, Any]]:
        """What drive.py is given for each of its parts."""
        given = [{name: row[name] for name in ("question", "context")} for row in self.questions]
        texts, reports = ([row["text"] for row in rows] for rows in (self.reviews, self.reports))
        return {
            "tasks": {"texts": texts, "reports": reports, "questions": given},
            "by-hand": {"texts": self.texts},
            "own-pipeline": {"spans": self.spans, "questions": self.passages},
        }


class Session:
    """Runs the two drivers, each once for everything that is asked of it."""

    def __init__(self, workspace: Any, checks: str, asked: Asked) -> None:
        self._workspace, self._checks, self._asked = workspace, checks, asked

    def driven(self, part: str, file: str) -> Any:
        """What the learner's code returns. Where its file still is as the learner got it nothing is run."""
        require_written(self._workspace, file)
        answer = self._found[part]
        assert isinstance(answer, dict), f"{file}: {answer}"
        return answer

    def right(self, part: str) -> Any:
        """What is right."""
        return self._right[part]

    @cached_property
    def _found(self) -> dict[str, Any]:
        return self._run(self._asked.parts(), "python", "-B", f"{self._checks}/drive.py")

    @cached_property
    def _right(self) -> dict[str, Any]:
        """Of what is recorded, and of what the learner's code is asked."""
        parts = {name: given for name, given in self._asked.parts().items() if name != "tasks"}
        parts |= {name: {} for name in ("limits", "comparison") if self._workspace.find(f"out/{name}.json")}
        return self._run(parts, "python", "-I", "-B", f"{self._checks}/reference.py")

    def _run(self, asked: Mapping[str, Any], *command: str) -> Any:
        result = self._workspace.run(*command, stdin=json.dumps(asked), timeout=LIMIT_S * len(asked))
        lines = result.stdout.strip().splitlines()
        last = (result.stderr.strip().splitlines() or ["no output"])[-1]
        ended_well = result.exit_code == 0 and bool(lines)
        if not ended_well and "-I" in command:  # no line of the learner's ran
            pytest.skip(f"measuring again did not work: {last[:300]}")
        assert ended_well, f"{Path(command[-1]).name} ended with {result.exit_code}: {last[:300]}"
        return json.loads(lines[-1])


def require_written(workspace: Any, file: str) -> None:
    """Fails where a function of the file does nothing but raise what the learner got, or where it is no Python."""
    try:
        tree = ast.parse(workspace.read_text(file))
    except SyntaxError as error:
        pytest.fail(f"{file}, line {error.lineno}: {error.msg}")
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            match [line for line in function.body if not isinstance(line, ast.Expr)]:
                case [
                    ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=notice)]))
                ]:
                    pytest.fail(str(notice))


@pytest.fixture(scope="session")
def asked(lab: Path) -> Asked:
    return Asked(lab / "checks")


@pytest.fixture(scope="session")
def session(workspace: Any, parameters: Mapping[str, Any], asked: Asked) -> Session:
    return Session(workspace, f"{parameters['lab']}/checks", asked)


def read(checks: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (checks / name).read_text(encoding="utf-8").splitlines()]


def value_of(found: Mapping[str, Any], part: str) -> Any:
    """What one part of the learner's code returned; how it failed, if it did."""
    assert "error" not in found[part], f"{part}: {found[part]['error']}"
    return found[part]["value"]


def texts_of(found: Mapping[str, Any], part: str, count: int) -> list[str]:
    value = value_of(found, part)
    good = isinstance(value, list) and len(value) == count and all(isinstance(text, str) for text in value)
    assert good, f"tasks.{part} returned {str(value)[:150]}; wanted a list of {count} texts"
    return value


def span_case() -> dict[str, Any]:
    """Logits whose separate maxima are often out of order, too far apart, or outside the passage."""
    length, scale = chance.randint(8, 30), chance.choice([1.0, 3.0])
    cut = chance.randint(1, length // 2)
    return {
        "begins": [chance.gauss(0, scale) for _ in range(length)],
        "ends": [chance.gauss(0, scale) for _ in range(length)],
        "allowed": [cut <= place < length - 1 for place in range(length)],
        "longest": chance.randint(1, 8),
    }


def best_span(case: Mapping[str, Any]) -> tuple[int, int, float]:
    first, last = (softmax(case[name], case["allowed"]) for name in ("begins", "ends"))
    spans = [
        (start, end, first[start] * last[end])
        for start in range(len(first))
        for end in range(start, min(start + case["longest"], len(first)))
        if case["allowed"][start] and case["allowed"][end]
    ]
    return max(spans, key=lambda span: span[2])


def softmax(logits: Sequence[float], allowed: Sequence[bool]) -> list[float]:
    powers = [math.exp(logit) if ok else 0.0 for logit, ok in zip(logits, allowed, strict=True)]
    return [power / sum(powers) for power in powers]


def rouge_l(made: str, wanted: str) -> float:
    """The F1 of the longest common subsequence of words (Lin, 2004)."""
    one, other = plain(made).split(), plain(wanted).split()
    row = [0] * (len(other) + 1)
    for word_made in one:
        before = 0
        for place, word_wanted in enumerate(other, start=1):
            before, row[place] = row[place], before + 1 if word_made == word_wanted else max(row[place], row[place - 1])
    return 2 * row[-1] / (len(one) + len(other)) if one and other else 0.0


def plain(text: str) -> str:
    """Lower case, without punctuation."""
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.lower()).split())


def word() -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=6)).capitalize()


def short(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:.1f}" for number in numbers[:12]) + (", …]" if len(numbers) > 12 else "]")


def tops(names: Sequence[str], worth: Any) -> list[str]:
    """Those that nobody beats."""
    best = max(map(worth, names))
    return [name for name in names if worth(name) >= best - 1e-9]


def near(value: Any, wanted: float, off: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value - wanted) <= off
