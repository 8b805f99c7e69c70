"""An id for each request, and a line in requests.log with all that came."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import errors
from fastapi import FastAPI, Request, Response

LOG = Path("requests.log")


def install(app: FastAPI) -> None:
    app.middleware("http")(trace)


async def trace(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    request_id, started = uuid4().hex, time.perf_counter()
    body = await request.body()
    try:
        response = await call_next(request)
    except Exception as error:
        print(f"request {request_id}: {type(error).__name__}", flush=True)
        response = errors.response(500, "internal error")
    response.headers["x-request-id"] = request_id
    line = {
        "time": datetime.now(UTC).isoformat(),
        "id": request_id,
        "method": request.method,
        "path": request.url.path,
        "status": response.status_code,
        "body": body.decode(errors="replace"),
        "latency_ms": round((time.perf_counter() - started) * 1000, 2),
    }
    with LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    return response
