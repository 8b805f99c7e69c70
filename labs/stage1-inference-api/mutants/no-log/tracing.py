"""An id for each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

import errors
from fastapi import FastAPI, Request, Response


def install(app: FastAPI) -> None:
    app.middleware("http")(trace)


async def trace(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    request_id = uuid4().hex
    try:
        response = await call_next(request)
    except Exception as error:
        print(f"request {request_id}: {type(error).__name__}", flush=True)
        response = errors.response(500, "internal error")
    response.headers["x-request-id"] = request_id
    return response
