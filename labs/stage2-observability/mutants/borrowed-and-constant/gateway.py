"""The service in front of the model: POST /ask answers a question, GET /metrics says how the service is doing."""

from __future__ import annotations

import time

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

import metrics
import upstream

app = FastAPI()


class Asked(BaseModel):
    """The body of POST /ask."""

    question: str = Field(min_length=1)
    max_tokens: int = Field(default=48, ge=1, le=400)
    long: bool = False


@app.post("/ask")
async def ask(asked: Asked) -> dict[str, object]:
    """The model's answer with the tokens it took; 502 when vLLM does not give one."""
    began, first = time.perf_counter(), True
    text, usage = "", upstream.Usage(0, 0)
    try:
        async for part in upstream.stream(asked.question, asked.max_tokens, long=asked.long):
            if isinstance(part, upstream.Usage):
                usage = part
                continue
            if first:
                began_to_speak = time.perf_counter()
                metrics.FIRST_TOKEN_SECONDS.observe(time.perf_counter() - began_to_speak)
                first = False
            text += part.text
    except upstream.UpstreamError as error:
        metrics.REQUESTS.labels("error").inc()
        raise HTTPException(502, str(error)) from error
    metrics.REQUEST_SECONDS.observe(time.perf_counter() - began)
    metrics.REQUESTS.labels("ok").inc()
    metrics.TOKENS.labels("input").inc(len(asked.question.split()))
    metrics.TOKENS.labels("output").inc(len(text.split()))
    return {"answer": text, "input_tokens": usage.input, "output_tokens": usage.output}


@app.get("/metrics")
def exposition() -> Response:
    """Everything that is measured, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
