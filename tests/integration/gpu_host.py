"""A host with GPUs of a fake NVML library, and a store that knows who holds them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from labctl import settings
from labctl.store.records import Held, Session, SessionState, Waiting
from labctl.store.store import Store
from tests.nvml import library


class GpuHost:
    """`labctl` in a home of its own; `environment` is what it needs to see the GPUs."""

    def __init__(self, home: Path, fakes: Path) -> None:
        self.scenario = home / "scenario.json"
        self.environment = {
            **os.environ,
            "LABCTL_NVML_LIBRARY": str(library.compile_fake(fakes)),
            "FAKE_NVML": str(self.scenario),
            "CUDA_MPS_PIPE_DIRECTORY": str(home),
        }
        self.store = Store(settings.load())
        self.now = datetime.now(UTC)

    def play(self, *gpus: dict[str, Any], **more: Any) -> None:
        """These GPUs from now on."""
        library.scenario(self.scenario, gpus=gpus, **more)

    def play_file(self, name: str) -> None:
        self.scenario.write_bytes((library.SCENARIOS / f"{name}.json").read_bytes())

    def labctl(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        values = {**self.environment, **environment}
        return subprocess.run(command(*args), capture_output=True, text=True, check=False, env=values, timeout=120)

    def session(self, learner: str, lab: str = "tune") -> str:
        """A session that runs, as the store knows it."""
        kept = Session(
            id=f"{lab}--{learner}",
            lab=lab,
            lab_path=f"/labs/{lab}",
            learner=learner,
            runtime="local",
            profile="gpu",
            state=SessionState.RUNNING,
            workspace=f"/home/{learner}",
            created_at=self.now,
            expires_at=self.now + timedelta(hours=4),
        )
        return self.store.put(kept).id

    def hold(self, learner: str, uuid: str, sharing: str, gib: int, **more: Any) -> None:
        """A session of `learner` that holds so much of a GPU of 80 GiB."""
        held = Held(
            session=self.session(learner),
            lab="tune",
            learner=learner,
            uuid=uuid,
            name="NVIDIA H100 80GB HBM3",
            sharing=sharing,
            memory_mib=gib * 1024,
            total_mib=80 * 1024,
            since=self.now,
            **more,
        )
        with self.store.allocating() as table:
            table.take([held])

    def wait(self, learner: str, minutes: int, lab: str = "serve") -> str:
        """One who came to the line so many minutes ago; the name of its lock."""
        name = f"{lab}--{learner}"
        with self.store.allocating() as table:
            table.wait(
                Waiting(
                    session=name,
                    lab=lab,
                    learner=learner,
                    place="",
                    need={"count": 1, "memory_mib": 16 * 1024},
                    since=self.now - timedelta(minutes=minutes),
                    seen_at=datetime.now(UTC),
                )
            )
        return name


def command(*args: str) -> Sequence[str]:
    return [sys.executable, "-m", "labctl", *args]
