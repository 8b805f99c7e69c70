"""The model behind the API: right on reviews it has not seen, loaded once, and the same for one text and for several."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

HELD_OUT = [line.split("\t") for line in Path(__file__).with_name("held_out.tsv").read_text("utf-8").splitlines()]
RIGHT_AT_LEAST = 34
DISTINCT_SCORES_AT_LEAST = 5
MIXED = [
    "Good food but awful service.",
    "The film is beautiful and boring.",
    "The room was small and clean.",
    "We arrived on a Tuesday in May.",
    "Not bad, not great.",
    "A cheap phone with a bright screen that breaks.",
]
SMALL_MODEL_LOADED = '"event": "model-loaded"'


def test_right_labels(api: Any) -> None:
    answers = [api.analyze(text) for _, text in HELD_OUT]
    right = sum(answer["label"] == label for answer, (label, _) in zip(answers, HELD_OUT, strict=True))
    assert right >= RIGHT_AT_LEAST, f"{right} of {len(HELD_OUT)} unseen reviews got the right label; wanted {RIGHT_AT_LEAST}"
    scores = [answer["score"] for answer in answers] + [api.analyze(text)["score"] for text in MIXED]
    wrong = [score for score in scores if not (is_number(score) and 0.5 <= score <= 1)]
    assert not wrong, f"a score was {wrong[0]!r}; the probability of the label that was chosen lies between 0.5 and 1"
    distinct = len({round(score, 4) for score in scores})
    assert distinct >= DISTINCT_SCORES_AT_LEAST, f"{len(scores)} different texts got only {distinct} different scores"


def test_loads_once(api: Any) -> None:
    api.analyze("Fine.")
    before = api.printed().count(SMALL_MODEL_LOADED)
    seconds = [api.seconds("A friendly guide and a great day.") for _ in range(10)]
    loaded = api.printed().count(SMALL_MODEL_LOADED) - before
    assert loaded <= 0, f"ten requests loaded the model {loaded} times; wanted none: load it when the process starts"
    median = statistics.median(seconds)
    assert median < 0.25, f"half of ten requests took longer than {median:.2f} s; wanted less than 0.25 s"


def test_batch(api: Any) -> None:
    texts = [text for _, text in HELD_OUT[:5]] + MIXED[:2]
    status, body = api.post("/analyze/batch", {"texts": texts})
    assert status == 200, f"POST /analyze/batch with {len(texts)} texts answered {status}; wanted 200"
    results = body.get("results") if isinstance(body, dict) else None
    assert isinstance(results, list), f"the answer is {str(body)[:200]}; wanted an object with a list named results"
    assert len(results) == len(texts), f"{len(texts)} texts got {len(results)} results"
    for text, several in zip(texts, results, strict=True):
        one = api.analyze(text)
        assert several["label"] == one["label"], f"{text!r} is {several['label']} in a batch and {one['label']} alone"
        assert math.isclose(several["score"], one["score"], abs_tol=0.001), (
            f"{text!r} scores {several['score']} in a batch and {one['score']} alone"
        )


def test_batch_limits(api: Any) -> None:
    for texts, wanted in ([], 422), (["Nice.", ""], 422), (["Nice."] * 32, 200):
        status, _ = api.post("/analyze/batch", {"texts": texts})
        assert status == wanted, f"a batch of {len(texts)} texts {texts[:2]} answered {status}; wanted {wanted}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
