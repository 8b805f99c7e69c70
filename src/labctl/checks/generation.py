"""`generation`: how near written answers are to the texts that are wanted."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

from labctl.checks.cases import Case, CasesCheck, Scored, mean, read_cases
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target

MAX_TEXT_CHARS = 20_000
"""ROUGE-L compares every word of an answer with every word wanted: a longer text could hold the grader up."""
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

References = Sequence[str]
Pair = tuple[str, References]


class GenerationCheck(CasesCheck):
    """Written answers beside the texts wanted: ROUGE, BLEU, chrF, token F1 or the share that is right word for word."""

    kind: Literal["generation"] = "generation"
    metric: Literal["rouge1", "rouge2", "rougeL", "bleu", "chrf", "exact", "accuracy", "f1"]
    """All of them 0 to 1; of several texts in `expected` the nearest counts. rouge1, rouge2, rougeL: the mean F-measure as
    rouge-score gives it (words of a-z and 0-9, no stemming). bleu, chrf: of the whole corpus, as sacrebleu gives them,
    divided by 100. exact and accuracy, two names of one: the share that is right but for case, space and punctuation at the
    end. f1: the mean token F1 of SQuAD."""

    def look(self, target: Target) -> CheckResult:
        cases = read_cases(self.lab, self.cases)
        bare = next((case for case in cases if not case.references), None)
        if bare is not None:
            raise CannotLook(f"the lab's {self.cases} names nothing expected for {bare.input!r}")
        texts = [self._text(case, said) for case, said in zip(cases, self.asked(target, cases), strict=True)]
        total, scores = scores_of(
            self.metric, [(text, case.references) for case, text in zip(cases, texts, strict=True)]
        )
        scored = [
            Scored(case=case, said=text, score=score) for case, text, score in zip(cases, texts, scores, strict=True)
        ]
        return self.judged(self.metric, total, scored)

    def _text(self, case: Case, said: Any) -> str:
        if isinstance(said, bool) or not isinstance(said, str | int | float):
            raise self.nothing_in(case, said, "a text")
        text = str(said)
        if len(text) > MAX_TEXT_CHARS:
            raise self.nothing_in(case, text[:100] + "…", f"at most {MAX_TEXT_CHARS} characters, not {len(text)}")
        return text


def scores_of(metric: str, pairs: Sequence[Pair]) -> tuple[float, list[float]]:
    """The number for all pairs of a text and its references, and one for each pair, 0 to 1."""
    if metric.startswith("rouge"):
        return _means(_rouge(metric), pairs)
    if metric in ("bleu", "chrf"):
        return _corpus(metric, pairs)
    return _means(f1 if metric == "f1" else exact, pairs)


def exact(text: str, references: References) -> float:
    """1 when the text is one of the references but for case, space and punctuation at the end, else 0.

    >>> exact(" The  Seine.", ["the seine"]), exact("Seine", ["the Seine"])
    (1.0, 0.0)
    """
    return float(_plain(text) in map(_plain, references))


def f1(text: str, references: References) -> float:
    """The best token F1, as SQuAD counts it: lower case, without punctuation and the articles a, an, the.

    >>> round(f1("It is the river Seine!", ["The Seine"]), 3), f1("", ["Seine"])
    (0.4, 0.0)
    """
    return max(_token_f1(_tokens(text), _tokens(reference)) for reference in references)


def _token_f1(said: list[str], wanted: list[str]) -> float:
    shared = sum((Counter(said) & Counter(wanted)).values())
    if not said or not wanted:
        return float(said == wanted)
    return 2 * shared / (len(said) + len(wanted))


def _means(score: Callable[[str, References], float], pairs: Sequence[Pair]) -> tuple[float, list[float]]:
    scores = [score(text, references) for text, references in pairs]
    return mean(scores), scores


def _rouge(metric: str) -> Callable[[str, References], float]:
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]  # with nltk, more than a second

    scorer = RougeScorer([metric])
    return lambda text, references: float(scorer.score_multi(list(references), text)[metric].fmeasure)


def _corpus(metric: str, pairs: Sequence[Pair]) -> tuple[float, list[float]]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    most = max(len(references) for _, references in pairs)
    streams: Any = [[_nth(references, number) for _, references in pairs] for number in range(most)]
    whole, single = (BLEU(force=True), BLEU(effective_order=True)) if metric == "bleu" else (CHRF(), CHRF())
    total = whole.corpus_score([text for text, _ in pairs], streams).score
    scores = [single.sentence_score(text, list(references)).score for text, references in pairs]
    return total / 100, [score / 100 for score in scores]


def _nth(references: References, number: int) -> str | None:
    """sacrebleu takes streams of references, with None where a text has fewer of them."""
    return references[number] if number < len(references) else None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(string.punctuation + "…。！？").rstrip()


def _tokens(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()
