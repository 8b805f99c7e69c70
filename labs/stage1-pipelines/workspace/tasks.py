"""Steps 1 and 3: three tasks, each with one pipeline.

labctl exec stage1-pipelines -- python tasks.py
"""

from __future__ import annotations

import json
from pathlib import Path

from models import ANSWERER, SENTIMENT, SUMMARISER

DATA = Path(__file__).parent / "data"


def classify(texts: list[str]) -> list[str]:
    """POSITIVE, NEGATIVE or NEUTRAL for each text, from SENTIMENT["large"]; models.verdict makes one form of all labels."""
    raise NotImplementedError("step 1: classify in tasks.py is yours to write")


def summarise(texts: list[str]) -> list[str]:
    """A summary in one line for each report, from SUMMARISER, a chat model: the user's message is "Summarise: " and the report."""
    raise NotImplementedError("step 1: summarise in tasks.py is yours to write")


def answer(questions: list[dict[str, str]]) -> list[str]:
    """The answer to each {"question", "context"}, from ANSWERER, through the pipeline that you write in step 3."""
    raise NotImplementedError("step 3: answer in tasks.py is yours to write")


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def main() -> None:
    reports, questions = read("reports.jsonl"), read("questions.jsonl")
    print(classify(["I love learning LLMs!", "The staff is rude."]))
    for report, made in zip(reports, summarise([report["text"] for report in reports]), strict=True):
        print(f"wanted  {report['summary']}\ngot     {made}")
    for question, made in zip(questions, answer(questions), strict=True):
        print(f"{question['question']}  wanted {question['answer']!r}, got {made!r}")


if __name__ == "__main__":
    main()
