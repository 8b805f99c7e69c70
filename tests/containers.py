"""A real engine and an image to build on; one sentence says what is missing where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from labctl import settings
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from docker import DockerClient

MADE_HERE = "labctl-base:bookworm"
PUBLIC = "python:3.11-slim-bookworm"


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerClient]:
    """A client of this host's engine."""
    from labctl.images.engine import connect

    try:
        client = connect(settings.load())
    except LabctlError as error:
        pytest.skip(f"{error.what}; {error.hint}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(docker_engine: DockerClient) -> str:
    """An image with Debian and Python: LABCTL_BASE_IMAGE, else what is there, else the public one."""
    from labctl.images.engine import is_present
    from labctl.images.pull import pull

    given = os.environ.get("LABCTL_BASE_IMAGE")
    there = next(
        (name for name in ([given] if given else [PUBLIC, MADE_HERE]) if is_present(docker_engine, name)), None
    )
    if there is not None:
        return there
    try:
        pull(docker_engine, given or PUBLIC, lambda _step: None)
    except LabctlError:
        pytest.skip(
            f"the engine has no image {given or PUBLIC} and reaches no registry: "
            "`scripts/make-base-image.sh`, which needs mmdebstrap, makes one"
        )
    return given or PUBLIC
