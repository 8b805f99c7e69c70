"""Step 1: what fits into the window, what does not, and who decides.

labctl exec stage2-context -- python window.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import corpus
import tokens

OUT = Path("out")
SYSTEM = "Answer from the passages and from nothing else. If they do not say it, say that you do not know."
HISTORY_SHARE = 0.25
ANSWER_TOKENS = 48
BUDGETS = [512, 1024, 2048, 4096]


def fit(texts: Sequence[str], budget: int) -> list[str]:
    """The texts, from the first on, as long as each fits whole into what is left of the budget; the rest is left out.

    The first one that does not fit ends it: what comes behind is less relevant, however short it may be.
    """
    kept: list[str] = []
    for text in texts:
        if budget <= 0:
            break
        kept.append(tokens.cut(text, budget))
        budget -= tokens.count(text)
    return kept


def plan(
    window: int, *, system: str, history: Sequence[str], passages: Sequence[str], question: str, answer: int
) -> dict[str, list[str]]:
    """What goes into a prompt for a window of so many tokens, {"history": …, "passages": …}.

    `answer` tokens are kept free for the answer; system and question go in whole: ValueError when these three do not fit.
    Of what is left, history may take HISTORY_SHARE (rounded down), the newest turns first, whole, and given back in the order
    of the conversation. Passages get all that is then left, in their order, whole. `history` is oldest first, `passages` best first.
    """
    left = window - tokens.count(system) - tokens.count(question)
    if left < 0:
        raise ValueError(f"system, question and answer need {-left} tokens more than the window of {window} has")
    newest_first = fit(list(reversed(history)), int(HISTORY_SHARE * left))
    left -= sum(map(tokens.count, newest_first))
    return {"history": newest_first[::-1], "passages": fit(passages, left)}


def naive(window: int, passages: Sequence[str], question: str) -> str:
    """What many programs do: everything one after the other, and what is too long is cut off at the end."""
    return tokens.cut("\n".join([SYSTEM, *passages, question]), window - ANSWER_TOKENS)


def main() -> None:
    manual = [paragraph for section in corpus.sections() for paragraph in section.paragraphs]
    questions = corpus.questions()
    rows = []
    for budget in BUDGETS:
        left = [naive(budget, manual, question.text) for question in questions]
        kept = [
            plan(budget, system=SYSTEM, history=[], passages=manual, question=question.text, answer=ANSWER_TOKENS)
            for question in questions
        ]
        facts = [question.fact in text for question, text in zip(questions, left, strict=True)]
        asked = [question.text in text for question, text in zip(questions, left, strict=True)]
        planned = [question.paragraph in one["passages"] for question, one in zip(questions, kept, strict=True)]
        rows.append(
            {
                "window": budget,
                "facts_naive": sum(facts) / len(questions),
                "questions_naive": sum(asked) / len(questions),
                "facts_planned": sum(planned) / len(questions),
            }
        )
    OUT.mkdir(exist_ok=True)
    (OUT / "window.json").write_text(json.dumps(rows, indent=2))
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
