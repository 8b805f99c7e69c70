"""Steps 1 and 3: three tasks, each with one pipeline.

labctl exec stage1-pipelines -- python tasks.py
"""

from __future__ import annotations

import json
from pathlib import Path

import qa
from models import ANSWERER, SENTIMENT, SUMMARISER, verdict
from transformers import pipeline

DATA = Path(__file__).parent / "data"


def classify(texts: list[str]) -> list[str]:
    """POSITIVE, NEGATIVE or NEUTRAL for each text, from SENTIMENT["large"]; models.verdict makes one form of all labels."""
    classifier = pipeline("text-classification", model=SENTIMENT["large"], truncation=True)
    return [verdict(found["label"]) for found in classifier(texts)]


def summarise(texts: list[str]) -> list[str]:
    """A summary in one line for each report, from SUMMARISER, a chat model: the user's message is "Summarise: " and the report."""
    writer = pipeline("text-generation", model=SUMMARISER)
    chats = [[{"role": "user", "content": f"Summarise: {text}"}] for text in texts]
    made = writer(chats, max_new_tokens=64, do_sample=False, return_full_text=False)
    return [answers[0]["generated_text"].strip() for answers in made]


def answer(questions: list[dict[str, str]]) -> list[str]:
    """The answer to each {"question", "context"}, from ANSWERER, through the pipeline that you write in step 3."""
    ask = pipeline(qa.TASK, model=ANSWERER)
    return [found["answer"] for found in ask(questions)]


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
