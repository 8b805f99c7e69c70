"""A fake NVML library, compiled once and asked through the real bindings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.nvml.library import SCENARIOS, compile_fake, scenario

Play = Callable[..., str]


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the compiled libraries are."""
    return tmp_path_factory.mktemp("nvml")


@pytest.fixture
def play(fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """`play(gpu(…), gpu(…), errors={…})` is the path of a library that plays this; `without` functions really lack."""

    def build(*gpus: dict[str, Any], without: tuple[str, ...] = (), **more: Any) -> str:
        monkeypatch.setenv("FAKE_NVML", str(scenario(tmp_path / "scenario.json", gpus=gpus, **more)))
        return str(compile_fake(fakes, without))

    return build


@pytest.fixture
def play_file(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """`play_file("eight")` is the path of a library that plays scenarios/eight.json."""

    def build(name: str) -> str:
        monkeypatch.setenv("FAKE_NVML", str(SCENARIOS / f"{name}.json"))
        return str(compile_fake(fakes))

    return build
