"""Step 2: pre-training and post-training are one loss on two kinds of data.

labctl exec stage0-foundations -- python objective.py
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

OUT = Path("out")
Example = tuple[list[int], list[bool]]


def next_token_loss(logits: Tensor, ids: Tensor, counted: Tensor) -> Tensor:
    """The mean of -ln p(token) over all tokens that count and have one before them.

    logits (batch, n, vocabulary): what the model says after each token. ids (batch, n): the tokens. counted (batch, n):
    whether a token is to be learnt; padding never is. Logits at place t speak of the token at place t + 1.
    """
    raise NotImplementedError("step 2: next_token_loss in objective.py is yours to write")


def plain_example(text: list[int]) -> Example:
    """The ids and which of them count, for pre-training."""
    raise NotImplementedError("step 2: plain_example in objective.py is yours to write")


def chat_example(prompt: list[int], answer: list[int]) -> Example:
    """The ids of a conversation and which of them count, for post-training: the model learns to answer, not to ask."""
    raise NotImplementedError("step 2: chat_example in objective.py is yours to write")


def main() -> None:
    import training  # imports transformers, which takes a while

    tokenizer, model = training.load_tokenizer(), training.new_model()
    plain = [plain_example(text) for text in training.plain_ids(tokenizer)]
    chats = [chat_example(*ids) for ids in training.chat_ids(tokenizer)]
    table = {"start": training.held_out(model, tokenizer, plain_example, chat_example, next_token_loss)}
    # Yours: training.train(model, examples, next_token_loss, steps=…, rate=training.RATE) on plain texts (150 steps will
    # do), then save the model in out/base and measure again (table["base"]); then the same model on the chats (60 steps),
    # out/chat and table["chat"]. A model is saved by model.save_pretrained(folder).
    raise NotImplementedError("step 2: main in objective.py is yours to write")
    OUT.mkdir(exist_ok=True)
    (OUT / "objective.json").write_text(json.dumps(table, indent=2))
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
