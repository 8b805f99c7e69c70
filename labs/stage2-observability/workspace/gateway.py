"""The service in front of the model: POST /ask answers a question, GET /metrics says how the service is doing.

It works already. Step 1: make it measure itself. The metrics are defined in metrics.py.
"""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

import metrics  # noqa: F401 - defines what generate_latest() shows
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
    text, usage = "", upstream.Usage(0, 0)
    # TODO step 1: measure. When does the clock start, when is the first token there, what is counted when vLLM refuses?
    try:
        async for part in upstream.stream(asked.question, asked.max_tokens, long=asked.long):
            if isinstance(part, upstream.Piece):
                text += part.text
            else:
                usage = part
    except upstream.UpstreamError as error:
        raise HTTPException(502, str(error)) from error
    return {"answer": text, "input_tokens": usage.input, "output_tokens": usage.output}


@app.get("/metrics")
def exposition() -> Response:
    """Everything that is measured, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
