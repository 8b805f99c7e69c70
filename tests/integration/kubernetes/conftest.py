"""Fixtures for faults on a real cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import KubernetesEngine
from tests.integration.kubernetes.homes import FaultyHome


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[FaultyHome]:
    """A LABCTL_HOME on the cluster, through a proxy; whatever runs in it is ended after the test."""
    if why := KubernetesEngine().missing():
        pytest.skip(why)
    made = FaultyHome(tmp_path / "one", os.environ["KUBECONFIG"])
    try:
        yield made
    finally:
        made.proxy.faults.clear()
        made.end_everything()
        made.proxy.close()
