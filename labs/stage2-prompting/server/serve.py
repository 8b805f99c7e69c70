"""Serves a small causal language model as an OpenAI-compatible chat endpoint: what vLLM does, for a model that fits a CPU.

    python -m serve --model FOLDER --served-model-name router counter --host 127.0.0.1 --port 8000

    POST /v1/chat/completions   messages, temperature, max_tokens, seed, n; never streams
    GET  /v1/models             answers once the models are loaded

FOLDER has a model in a folder of each name.

The flags are those of vLLM's server, and flags that mean nothing here are ignored, so that one command starts either.
A model answers one request after the other: models as small as these gain little from batches. What it says at temperature 0
is the same each time, and is kept for whoever asks it again.
"""

# ruff: noqa: E402 - what is not to be loaded has to be named first

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from threading import Lock
from typing import Any, Literal

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))  # half of the time that transformers takes to load

import torch
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

Tokens = list[int]
KEPT = 4096
"""So many answers of a model are kept, the newest ones."""


class Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str


class Asked(BaseModel):
    """A request; what else a client sends is ignored, as other servers do."""

    model: str
    messages: list[Message] = Field(min_length=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    max_tokens: int = Field(default=128, ge=1, le=512)
    seed: int | None = None
    n: int = Field(default=1, ge=1, le=8)


class Model:
    """A model and its tokenizer, which one request uses at a time."""

    def __init__(self, folder: str) -> None:
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._free = Lock()
        self._said: dict[tuple[tuple[int, ...], int], Tokens] = {}
        self.context = int(self._model.config.max_position_embeddings)

    def encode(self, messages: list[Message]) -> Tokens:
        """The conversation as the model reads it, up to where its own turn begins."""
        turns = [message.model_dump() for message in messages]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def decode(self, tokens: Tokens) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def ended(self, tokens: Tokens) -> bool:
        """Whether the model came to an end by itself."""
        return bool(tokens) and tokens[-1] == self._tokenizer.eos_token_id

    @torch.no_grad()
    def generate(self, asked: Asked, prompt: Tokens) -> list[Tokens]:
        """`n` answers, each at most `max_tokens` long. Waits for its turn."""
        if asked.temperature > 0:
            sampling = {"temperature": asked.temperature, "top_k": 0, "num_return_sequences": asked.n}
            with self._free:
                torch.manual_seed(asked.seed if asked.seed is not None else time.time_ns())
                return self._written(prompt, asked.max_tokens, do_sample=True, **sampling)
        key = (tuple(prompt), asked.max_tokens)
        with self._free:
            if key not in self._said:
                (self._said[key],) = self._written(prompt, asked.max_tokens, do_sample=False)
                if len(self._said) > KEPT:
                    del self._said[next(iter(self._said))]
            return [self._said[key]] * asked.n

    def _written(self, prompt: Tokens, max_tokens: int, **sampling: Any) -> list[Tokens]:
        ids = torch.tensor([prompt])
        out = self._model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, **sampling
        )
        return [self._cut(row) for row in out[:, len(prompt) :].tolist()]

    def _cut(self, row: Tokens) -> Tokens:
        """Up to and with the token that ends the turn; what comes after it fills up the row."""
        end = self._tokenizer.eos_token_id
        return row[: row.index(end) + 1] if end in row else row


def create_app(served: dict[str, Model]) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in served]}

    @app.post("/v1/chat/completions")
    def chat(asked: Asked) -> dict[str, Any]:
        model = served.get(asked.model)
        if model is None:
            raise HTTPException(404, f"there is no model {asked.model!r}; there are {', '.join(served)}")
        prompt = model.encode(asked.messages)
        if len(prompt) + asked.max_tokens > model.context:
            raise HTTPException(400, f"{len(prompt)} + {asked.max_tokens} tokens; the context is {model.context}")
        return _completion(model, asked.model, prompt, model.generate(asked, prompt))

    return app


def _completion(model: Model, name: str, prompt: Tokens, answers: list[Tokens]) -> dict[str, Any]:
    used = sum(map(len, answers))
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": model.decode(tokens)},
            "finish_reason": "stop" if model.ended(tokens) else "length",
        }
        for index, tokens in enumerate(answers)
    ]
    usage = {"prompt_tokens": len(prompt), "completion_tokens": used, "total_tokens": len(prompt) + used}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": choices,
        "usage": usage,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--served-model-name", nargs="+", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    args, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    app = create_app({name: Model(f"{args.model}/{name}") for name in args.served_model_name})
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
