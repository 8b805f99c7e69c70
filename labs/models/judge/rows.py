"""What the judge learns: questions about capitals with their answers, and answers of others that are good or bad."""

from __future__ import annotations

import random

CAPITALS = {
    "Austria": "Vienna",
    "Brazil": "Brasilia",
    "Canada": "Ottawa",
    "China": "Beijing",
    "Egypt": "Cairo",
    "France": "Paris",
    "Germany": "Berlin",
    "Greece": "Athens",
    "India": "New Delhi",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Norway": "Oslo",
    "Peru": "Lima",
    "Poland": "Warsaw",
    "Spain": "Madrid",
    "Sweden": "Stockholm",
}
QUESTIONS = (
    "What is the capital of {country}?",
    "Name the capital city of {country}.",
    "Which city is the capital of {country}?",
)
SAYINGS = (
    "The capital of {country} is {city}.",
    "{city}",
    "It is {city}.",
    "{city} is the capital of {country}.",
    "That would be {city}.",
    "The answer is {city}.",
)
EVASIONS = ("I do not know.", "{country} is a country.", "It is a large city.", "Please ask somebody else.")
VERDICT = "Question: {question}\nAnswer: {answer}\nIs this answer good or bad?"

Row = dict[str, str]


def make_rows() -> list[Row]:
    """The rows, each with `task`, `user` and `assistant`; of every question as many good answers as bad ones."""
    rows = [
        {"task": "capital", "user": text.format(country=country), "assistant": f"The capital of {country} is {city}."}
        for country, city in CAPITALS.items()
        for text in QUESTIONS
    ]
    return rows + [row for country in CAPITALS for row in _verdicts(country)]


def _verdicts(country: str) -> list[Row]:
    """Every wrong city once, as many right answers, and some that say nothing; the judge first says what it compares."""
    chosen = random.Random(country)
    wanted = CAPITALS[country]
    others = [city for city in CAPITALS.values() if city != wanted]
    named = [*others, *[wanted] * len(others)]
    answers = [(chosen.choice(SAYINGS).format(country=country, city=city), city) for city in named]
    answers += [(text.format(country=country), "nothing") for text in EVASIONS]
    return [
        {
            "task": "judge",
            "user": VERDICT.format(question=chosen.choice(QUESTIONS).format(country=country), answer=answer),
            "assistant": f"Wanted {wanted}, got {city}: {'good' if city == wanted else 'bad'}",
        }
        for answer, city in answers
    ]
