"""What the checks' tests share: a workspace on disk, and a way to write a check as a lab file does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.checks.base import RENDERED, BaseCheck
from labctl.checks.kinds import Check
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]
_CHECKS: TypeAdapter[BaseCheck] = TypeAdapter(Check)


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return FakeTarget(folder=workspace)


@pytest.fixture
def check_of() -> CheckOf:
    """kind and settings → the check, through the same door as a lab file's."""

    def make(kind: str, **settings: Any) -> BaseCheck:
        return _CHECKS.validate_python({kind: settings}, context=RENDERED)

    return make
