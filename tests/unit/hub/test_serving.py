"""One Hub a cohort."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from labctl.errors import PreflightError
from labctl.hub.folder import HubFolder
from labctl.hub.serving import lock


@pytest.fixture
def folder(tmp_path: Path) -> HubFolder:
    made = HubFolder(tmp_path, "autumn")
    made.create()
    return made


def held(folder: HubFolder) -> int:
    descriptor = os.open(folder.root / "serving.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_second_hub_is_refused(folder: HubFolder) -> None:
    descriptor = held(folder)
    with pytest.raises(PreflightError, match="autumn is being served already"):
        lock(folder)
    os.close(descriptor)


def test_one_that_is_ending_is_waited_for_where_that_is_asked(folder: HubFolder) -> None:
    ending = threading.Timer(0.3, os.close, [held(folder)])
    ending.start()
    lock(folder, patience_s=30.0)
    ending.join()
    with pytest.raises(PreflightError):
        lock(folder)
