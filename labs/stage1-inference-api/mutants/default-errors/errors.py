"""What an unexpected failure is answered with."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse


def install(app: FastAPI) -> None:
    """Nothing to do: FastAPI has error answers of its own."""


def response(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"status": status, "message": message}}, status)
