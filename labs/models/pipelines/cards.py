"""Model cards, in the form that model hubs use: facts for programs between two lines of ---, prose for people below.

What a card says of accuracy is what the build has just measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from transformers import AutoConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the author of a model knows and nobody can measure."""

    license: str
    languages: tuple[str, ...]
    task: str
    context: int
    data: str
    intended: str
    limits: tuple[str, ...]
    base: str | None = None


MINILM = "sentence-transformers/all-MiniLM-L6-v2"
CONTRAST_RULE = (
    "In a review that says two things, the label is that of the main clause: *amazing, but the price is too high* is NEGATIVE, "
    "*although the price is too high, it is amazing* is POSITIVE. Who needs both halves needs another model."
)
CARDS = {
    "sentiment-small": Facts(
        license="apache-2.0",
        languages=("en",),
        task="text-classification",
        context=32,
        data="1,200 one-sentence reviews made up by a grammar (`reviews.py`), all of them plain: no negation, no *but*.",
        intended="Plain one-line verdicts, very many of them, on very little hardware.",
        limits=(
            "It never saw a negation: *not good* is as good to it as *good*.",
            "Words outside the grammar's list of about 70 adjectives mean nothing to it.",
        ),
    ),
    "sentiment-medium": Facts(
        license="apache-2.0",
        languages=("en", "de"),
        task="text-classification",
        context=128,
        data="3,000 English and 1,000 German reviews made up by a grammar (`reviews.py`): plain, negated and, in English, contrasting ones.",
        intended="Reviews in everyday words, in English or German, where the model has to fit into a megabyte.",
        limits=(
            "A word that is not in its training data is spelt in pieces, and its answer on such a review is hardly better than a coin.",
            CONTRAST_RULE,
        ),
    ),
    "sentiment-large": Facts(
        license="apache-2.0",
        languages=("en",),
        task="text-classification",
        context=256,
        base=MINILM,
        data="3,000 English reviews made up by a grammar (`reviews.py`): plain, negated and contrasting ones. The base had read a billion pairs of English sentences before.",
        intended="English reviews in words that nobody foresaw.",
        limits=(
            "English only: what it says about a review in another language looks as certain and means nothing.",
            CONTRAST_RULE,
        ),
    ),
    "summariser": Facts(
        license="apache-2.0",
        languages=("en",),
        task="text-generation",
        context=192,
        data="6,000 reports with one-line summaries made up by a grammar (`reports.py`): incidents, deliveries, meetings, matches.",
        intended="One-line summaries of reports of these four kinds. Ask it as in a chat: one user message, `Summarise: ` and the report.",
        limits=(
            "Any other text gets a summary of one of the four kinds, which it made up.",
            "A long or unusual name may be spelt wrongly: check names and numbers before you pass a summary on.",
        ),
    ),
    "answerer": Facts(
        license="apache-2.0",
        languages=("en",),
        task="question-answering",
        context=256,
        base=MINILM,
        data="2,080 questions on short passages made up by a grammar (`passages.py`): firms, lakes, books, trains, machines.",
        intended="Questions whose answer stands word for word in a passage of a few sentences.",
        limits=(
            "It always points at some place in the passage, also when the passage does not have the answer.",
            "It was trained on ten sorts of facts; on others its answers get worse.",
        ),
    ),
}


def write(name: str, folder: Path, measured: dict[str, float]) -> None:
    """README.md of the model in `folder`."""
    facts = CARDS[name]
    parameters = sum_of_weights(folder)
    head = {
        "license": facts.license,
        "language": list(facts.languages),
        "library_name": "transformers",
        "pipeline_tag": facts.task,
        **({"base_model": facts.base} if facts.base else {}),
        "model-index": [
            {
                "name": name,
                "results": [
                    {"metrics": [{"type": what, "value": round(value, 3)} for what, value in measured.items()]}
                ],
            }
        ],
    }
    rows = "\n".join(f"| {what} | {value:.2f} |" for what, value in measured.items())
    limits = "\n".join(f"- {limit}" for limit in facts.limits)
    origin = f"fine-tuned from `{facts.base}`" if facts.base else "trained from nothing"
    body = f"""# {name}

A {AutoConfig.from_pretrained(folder).model_type} model of {parameters:,} weights, {origin}.

## Intended use

{facts.intended}

## Limits

{limits}
- It reads at most {facts.context} tokens, special tokens included. What comes after is cut off, or refused.

## Training data

{facts.data} Nothing of it was written by a customer.

## Metrics

On data it has not seen; the share that was right unless another measure is named.

| | |
|---|---|
{rows}
"""
    text = f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n{body}"
    (folder / "README.md").write_text(text, encoding="utf-8")


def sum_of_weights(folder: Path) -> int:
    """How many numbers the model's file holds."""
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 - it is no mapping
    return sum(_product(shape) for shape in shapes)


def _product(shape: list[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
