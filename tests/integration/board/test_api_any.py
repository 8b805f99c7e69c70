"""Anything that can be sent to the API, made up by Schemathesis from the document that the real application answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from labctl import settings as own_settings
from labctl.hub.board.app import create_app
from labctl.hub.board.guard import Pace
from labctl.sessions.context import Context
from labctl.store.store import Store
from labctl.testing.runtime import FakeRuntime
from tests.conftest import LAB as LAB_TEXT
from tests.unit.board import apis
from tests.unit.board.classes import LAB, make, start

EXAMPLES = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Context:
    root = tmp_path_factory.mktemp("any")
    folder = root / "labs" / LAB
    (folder / "workspace").mkdir(parents=True)
    (folder / "lab.yaml").write_text(LAB_TEXT)
    (folder / "workspace" / "readme.txt").write_text("start here\n")
    names = {"LABCTL_HOME": "home", "LABCTL_WORKSPACES": "work", "LABCTL_LABS": "labs", "XDG_CONFIG_HOME": "config"}
    chosen = own_settings.load({name: str(root / value) for name, value in names.items()})
    engine = FakeRuntime()
    return Context(settings=chosen, store=Store(chosen), runtime=lambda _: engine, now=lambda: datetime.now(UTC))


@pytest.fixture(scope="module")
def document(ctx: Context) -> Iterator[OpenApiSchema]:
    room = make(ctx, Path(ctx.settings.home).parent / "autumn")
    start(room)
    board = replace(apis.board(room), api=Pace(10**9, 1.0), pages=Pace(10**9, 1.0))
    app = create_app(board)
    app.router.lifespan_context = _lives_on
    yield schemathesis.openapi.from_asgi(f"{board.prefix}api/v1/openapi.json", app)
    board.actions.close()


@asynccontextmanager
async def _lives_on(_app: FastAPI) -> AsyncIterator[None]:
    """Schemathesis begins and ends the application around each request, and the board would stop working at the first."""
    yield


@schemathesis.hook
def before_load_schema(_ctx: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Every request here has a token, so a case is no wrong one for its lack; that one is asked for, other tests try."""
    raw_schema.pop("security")
    raw_schema["components"].pop("securitySchemes")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@EXAMPLES
def test_anything_is_answered_as_the_document_says(case: Case[Any]) -> None:
    case.call_and_validate(headers=apis.headers("eve"))


@schema.parametrize()
@EXAMPLES
def test_anything_about_somebody_who_is_there_is_answered_so_too(case: Case[Any]) -> None:
    real = {"learner": "ada", "lab": LAB, "attempt": 1, "action": 1, "message": 1}
    case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
    lies: Any = [checks.negative_data_rejection]  # of what was wrong the path may have been all
    case.call_and_validate(headers=apis.headers("eve"), excluded_checks=lies)


@schema.parametrize()
@settings(EXAMPLES, max_examples=8)
def test_anything_that_somebody_else_sends_is_refused(case: Case[Any]) -> None:
    real = {"learner": "ada", "lab": LAB, "attempt": 1, "action": 1, "message": 1}
    case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
    answer = case.call(headers=apis.headers("bob"))
    assert answer.status_code in (200, 400, 403, 404, 405, 422)
    assert "ada" not in (answer.text or "").lower()
