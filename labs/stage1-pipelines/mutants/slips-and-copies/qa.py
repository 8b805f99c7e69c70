"""Step 3: a pipeline of your own. transformers 5 has none for question answering any more; its parts are all there.

labctl exec stage1-pipelines -- python qa.py
"""

from __future__ import annotations

from typing import Any

import models
import torch
from torch import Tensor
from transformers import AutoModelForQuestionAnswering, Pipeline, pipeline
from transformers.pipelines import PIPELINE_REGISTRY

TASK = "extractive-qa"
LONGEST = 12
"""An answer has at most so many tokens."""


def best_span(begins: Tensor, ends: Tensor, allowed: Tensor, longest: int = LONGEST) -> tuple[int, int, float]:
    """The most probable answer as (first token, last token, score).

    `begins` and `ends` are the logits of each token to be the first and the last one of the answer, `allowed` is true for
    tokens of the passage (not of the question, not [CLS], [SEP] or padding); all three of shape (tokens,). Softmax over the
    allowed tokens makes probabilities; the score of a span is P(first) · P(last). Of all spans whose tokens are allowed, that
    do not end before they begin and have at most `longest` tokens, the one with the highest score is wanted.
    """
    shut = ~allowed.bool()
    first = begins.float().masked_fill(shut, -torch.inf).softmax(dim=-1)
    last = ends.float().masked_fill(shut, -torch.inf).softmax(dim=-1)
    start, end = int(first.argmax()), int(last.argmax())
    return start, end, float(first[start] * last[end])


class ExtractiveQA(Pipeline):
    """{"question", "context"} → {"answer", "start", "end", "score"}: start and end are places in the context's text."""

    _load_tokenizer = True

    def _sanitize_parameters(self, **parameters: Any) -> tuple[dict, dict, dict]:
        return {}, {}, {}  # this pipeline has no settings

    def preprocess(self, inputs: dict[str, str], **parameters: Any) -> dict[str, Any]:
        """Question and context as one pair of token ids, and whatever postprocess will need."""
        encoded = self.tokenizer(
            inputs["question"],
            inputs["context"],
            truncation="only_second",
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        allowed = torch.tensor([part == 1 for part in encoded.sequence_ids(0)])
        offsets = encoded.pop("offset_mapping")[0].tolist()
        return {**encoded, "context": inputs["context"], "offsets": offsets, "allowed": allowed}

    def _forward(self, model_inputs: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        """Run the model on what the model knows; hand the rest on."""
        given = {name: model_inputs.pop(name) for name in ("context", "offsets", "allowed")}
        out = self.model(**model_inputs)
        return {**given, "begins": out.start_logits[0], "ends": out.end_logits[0]}

    def postprocess(self, model_outputs: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        """The best span, as it is written in the context: `context[start:end]`."""
        first, last, score = best_span(model_outputs["begins"], model_outputs["ends"], model_outputs["allowed"])
        start, end = model_outputs["offsets"][first][0], model_outputs["offsets"][last][1]
        return {"answer": model_outputs["context"][start:end], "start": start, "end": end, "score": score}


PIPELINE_REGISTRY.register_pipeline(TASK, pipeline_class=ExtractiveQA, pt_model=AutoModelForQuestionAnswering)


def main() -> None:
    ask = pipeline(TASK, model=models.ANSWERER)
    print(ask({"question": "Who founded Ember?", "context": "Ember opened in 1903. Alice Berg founded Ember. Delta was founded by Nina Hill."}))


if __name__ == "__main__":
    main()
