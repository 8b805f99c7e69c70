"""Hosts become a batch system, in which a job really runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import machines
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import Played, play

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("lab-host")]


def make(*nodes: Machine, check: bool = False) -> Played:
    return play(*nodes, tags="slurm", check=check, groups={"slurm": nodes}, labctl_slurm_memory_per_cpu_mib=64)


@pytest.fixture(scope="module")
def nodes(docker_engine: DockerClient, systemd_image: str) -> Iterator[list[Machine]]:
    with (
        machines.running(docker_engine, systemd_image, "node1") as first,
        machines.running(docker_engine, systemd_image, "node2") as second,
    ):
        assert make(first, second).failures == []
        yield [first, second]


def test_a_job_really_runs_on_both_nodes_as_who_asked(nodes: list[Machine]) -> None:
    job = ["srun", "--nodes=2", "--time=1", "sh", "-c", "echo $(hostname) $(id -un)"]
    said = nodes[0].ask(*job, user="nobody")
    assert sorted(said.splitlines()) == ["node1 nobody", "node2 nobody"]


def test_a_second_time_nothing_changes(nodes: list[Machine]) -> None:
    again = make(*nodes)
    assert (again.failures, again.changed) == ([], [])


def test_the_key_is_the_same_and_in_no_log(nodes: list[Machine]) -> None:
    sums = {node.ask("sha256sum", "/etc/munge/munge.key") for node in nodes}
    assert len(sums) == 1
    assert nodes[1].ask("stat", "-c", "%a %U", "/etc/munge/munge.key") == "400 munge"


def test_a_run_over_some_of_the_nodes_is_refused(nodes: list[Machine]) -> None:
    said = play(nodes[0], tags="slurm", groups={"slurm": nodes}, limit=nodes[0].name)
    assert f"of {nodes[1].name} nothing is known in this run" in said.failures[0]


def test_somebody_elses_cluster_is_left_alone(bare_machine: Machine) -> None:
    bare_machine.write("/etc/slurm/slurm.conf", "ClusterName=theirs\n")
    try:
        said = make(bare_machine, check=True)
    finally:
        bare_machine.ask("rm", "-r", "/etc/slurm")
    assert "this host is part of another cluster" in said.failures[0]


def test_check_mode_tells_what_a_bare_machine_lacks(bare_machine: Machine) -> None:
    looked = make(bare_machine, check=True)
    assert looked.failures == []
    assert "missing: munge slurmd slurm-client slurmctld" in looked.messages
    assert "slurm: Write the configuration" in looked.changed
