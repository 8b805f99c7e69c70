"""Serves a small causal language model as an OpenAI-compatible chat endpoint: what vLLM does, for a model that fits a CPU.

    python -m serve --model FOLDER --served-model-name router counter --host 127.0.0.1 --port 8000

    POST /v1/chat/completions   messages, temperature, max_tokens, seed, n; never streams
    GET  /v1/models             answers once the models are loaded

FOLDER has a model in a folder of each name.

The flags are those of vLLM's server, and flags that mean nothing here are ignored, so that one command starts either.
Requests that wait for each other are answered as one batch: eight at a time cost little more than one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Literal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging

MAX_BATCH = 16
Tokens = list[int]


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
    """A model and its tokenizer, and the one thread that may use them."""

    def __init__(self, folder: str) -> None:
        torch.set_num_threads(1)
        logging.disable_progress_bar()
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._waiting: SimpleQueue[tuple[Asked, Tokens, Future[list[Tokens]]]] = SimpleQueue()
        self.context = int(self._model.config.max_position_embeddings)
        Thread(target=self._work, daemon=True).start()

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

    def generate(self, asked: Asked, prompt: Tokens) -> list[Tokens]:
        """`n` answers, each at most `max_tokens` long. Waits for its turn."""
        answers: Future[list[Tokens]] = Future()
        self._waiting.put((asked, prompt, answers))
        return answers.result()

    def _work(self) -> None:
        left: list[tuple[Asked, Tokens, Future[list[Tokens]]]] = []
        while True:
            left = left or [self._waiting.get()]
            while len(left) < 4 * MAX_BATCH:
                try:
                    left.append(self._waiting.get_nowait())
                except Empty:
                    break
            batch = [job for job in left if _joins(job[0], left[0][0])][:MAX_BATCH]
            left = [job for job in left if not any(job is taken for taken in batch)]
            try:
                for (_, _, answers), tokens in zip(batch, self._batch(batch[0][0], batch), strict=True):
                    answers.set_result(tokens)
            except Exception as error:  # noqa: BLE001 whoever waits is told; the thread goes on
                for *_, answers in batch:
                    answers.set_exception(error)

    @torch.no_grad()
    def _batch(self, first: Asked, batch: list[tuple[Asked, Tokens, Future[list[Tokens]]]]) -> list[list[Tokens]]:
        width, pad = max(len(prompt) for _, prompt, _ in batch), self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for _, prompt, _ in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for _, prompt, _ in batch])
        sampling: dict[str, Any] = {"do_sample": False}
        if first.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": first.temperature,
                "num_return_sequences": first.n,
                "top_k": 0,
            }
            torch.manual_seed(first.seed if first.seed is not None else time.time_ns())
        longest = max(asked.max_tokens for asked, _, _ in batch)
        out = self._model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=longest, **sampling)
        rows = [self._cut(row) for row in out[:, width:].tolist()]
        if first.temperature > 0:
            return [[row[: first.max_tokens] for row in rows]]
        return [[row[: asked.max_tokens]] * asked.n for row, (asked, _, _) in zip(rows, batch, strict=True)]

    def _cut(self, row: Tokens) -> Tokens:
        """Up to and with the token that ends the turn; what comes after it fills up the batch."""
        end = self._tokenizer.eos_token_id
        return row[: row.index(end) + 1] if end in row else row


def _joins(asked: Asked, first: Asked) -> bool:
    """Greedy answers can share a batch; a sampled one has a seed of its own."""
    return asked is first or (asked.temperature == first.temperature == 0)


def create_app(served: dict[str, Model]) -> FastAPI:
    app = FastAPI()
    pool = ThreadPoolExecutor(4 * MAX_BATCH)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in served]}

    @app.post("/v1/chat/completions")
    async def chat(asked: Asked) -> dict[str, Any]:
        model = served.get(asked.model)
        if model is None:
            raise HTTPException(404, f"there is no model {asked.model!r}; there are {', '.join(served)}")
        prompt = model.encode(asked.messages)
        if len(prompt) + asked.max_tokens > model.context:
            raise HTTPException(400, f"{len(prompt)} + {asked.max_tokens} tokens; the context is {model.context}")
        answers = await asyncio.get_running_loop().run_in_executor(pool, model.generate, asked, prompt)
        return _completion(model, asked.model, prompt, answers)

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
    app = create_app({name: Model(f"{args.model}/{name}") for name in args.served_model_name})
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
