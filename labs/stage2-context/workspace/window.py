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
    raise NotImplementedError("step 1: fit in window.py is yours to write")


def plan(
    window: int, *, system: str, history: Sequence[str], passages: Sequence[str], question: str, answer: int
) -> dict[str, list[str]]:
    """What goes into a prompt for a window of so many tokens, {"history": …, "passages": …}.

    `answer` tokens are kept free for the answer; system and question go in whole: ValueError when these three do not fit.
    Of what is left, history may take HISTORY_SHARE (rounded down), the newest turns first, whole, and given back in the order
    of the conversation. Passages get all that is then left, in their order, whole. `history` is oldest first, `passages` best first.
    """
    raise NotImplementedError("step 1: plan in window.py is yours to write")


def naive(window: int, passages: Sequence[str], question: str) -> str:
    """What many programs do: everything one after the other, and what is too long is cut off at the end."""
    return tokens.cut("\n".join([SYSTEM, *passages, question]), window - ANSWER_TOKENS)


def main() -> None:
    manual = [paragraph for section in corpus.sections() for paragraph in section.paragraphs]
    questions = corpus.questions()
    rows = []
    for budget in BUDGETS:
        # Yours. For every question the passages are the whole manual in its order, there is no history, and the window is
        # `budget`. Append {"window", "facts_naive", "questions_naive", "facts_planned"}: the share of questions
        #   facts_naive      whose fact stands whole in what naive() leaves
        #   questions_naive  whose own text stands whole in it: without the question, what is the model to answer?
        #   facts_planned    whose fact stands in a passage that plan() keeps
        raise NotImplementedError("step 1: the loop in window.py is yours to write")
    OUT.mkdir(exist_ok=True)
    (OUT / "window.json").write_text(json.dumps(rows, indent=2))
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
