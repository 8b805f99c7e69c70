"""Machines that playbooks are run against, and what a run of Ansible said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import machines
from tests.integration.hosts.machines import Machine

if TYPE_CHECKING:
    from docker import DockerClient

DISKS = ("/var/lib/docker", "/var/lib/labctl")
StartMachine = Callable[..., Machine]


@pytest.fixture(scope="session")
def systemd_image(docker_engine: DockerClient, base_image: str) -> str:
    """An image in which systemd runs: of Debian 12, or of the distribution whose base LABCTL_TEST_HOST_BASE names."""
    return machines.image(docker_engine, os.environ.get("LABCTL_TEST_HOST_BASE", base_image))


@pytest.fixture(scope="session")
def bare_machine(docker_engine: DockerClient, systemd_image: str) -> Iterator[Machine]:
    """One bare machine for all tests that change nothing on it: what runs in check mode."""
    with machines.running(docker_engine, systemd_image, "bare", DISKS) as machine:
        yield machine


@pytest.fixture
def start_machine(docker_engine: DockerClient, systemd_image: str) -> Iterator[StartMachine]:
    """Starts further bare machines, which end with the test."""
    with ExitStack() as machines_up:

        def start(name: str = "host", volumes: tuple[str, ...] = DISKS) -> Machine:
            up: AbstractContextManager[Machine] = machines.running(docker_engine, systemd_image, name, volumes)
            return machines_up.enter_context(up)

        yield start
