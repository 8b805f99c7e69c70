"""Every error as JSON in one form: {"error": {"status": 422, "message": "..."}}."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, refuse)
    app.add_exception_handler(HTTPException, explain)


async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
    """Says which field is wrong and why. The default answer would repeat what was sent."""
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
    return response(422, "; ".join(problems))


async def explain(_: Request, error: HTTPException) -> JSONResponse:
    """Unknown paths and wrong methods come here."""
    return response(error.status_code, str(error.detail))


def response(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"status": status, "message": message}}, status)
