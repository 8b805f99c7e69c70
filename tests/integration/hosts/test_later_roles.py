"""Two hosts that are watched, are a batch system and join a Kubernetes: what the roles install really runs, and works together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import machines
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import PLAYBOOKS, Played, play

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("lab-host")]
DEADLINE_S = 120
RULES = PLAYBOOKS / "roles" / "monitoring" / "files" / "labctl.rules.yml"
RULE_TESTS = Path(__file__).with_name("labctl.rules.test.yml")
TOKEN = "/var/lib/rancher/k3s/server/node-token"
STAND_IN = f"""\
#!/bin/sh
mkdir -p "$(dirname {TOKEN})"
[ "$1" = agent ] || [ -e {TOKEN} ] || od -An -N16 -tx1 /dev/urandom | tr -d ' ' > {TOKEN}
systemd-notify --ready
exec sleep infinity
"""
"""k3s itself is only on GitHub, which not every machine reaches: this makes a token and says that it is ready, as k3s does."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("k3s") / "k3s"
    file.write_text(STAND_IN)
    return str(file)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two machines, and what the first run over them came to. The first is server of everything."""

    first: Machine
    second: Machine
    program: str

    def play(self) -> Played:
        both = [self.first, self.second]
        return play(
            *both,
            tags="monitoring,slurm,k3s_server,k3s_agent",
            groups={"slurm": both, "k3s_server": both[:1], "k3s_agent": both[1:]},
            labctl_slurm_memory_per_cpu_mib=64,
            labctl_k3s_binary=self.program,
        )


@pytest.fixture(scope="module")
def pair(docker_engine: DockerClient, systemd_image: str, program: str) -> Iterator[Pair]:
    with (
        machines.running(docker_engine, systemd_image, "node1") as first,
        machines.running(docker_engine, systemd_image, "node2") as second,
    ):
        yield Pair(first, second, program)


@pytest.fixture(scope="module")
def made(pair: Pair) -> Played:
    played = pair.play()
    assert played.failures == []
    return played


def until(is_true: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


def address(machine: Machine) -> str:
    return machine.ask("hostname", "-i")


def listening(machine: Machine, port: int) -> list[str]:
    found = [line.split()[3] for line in machine.ask("ss", "-Hltn").splitlines()]
    return [each for each in found if each.endswith(f":{port}")]


def test_prometheus_really_scrapes_both_hosts(pair: Pair, made: Played) -> None:
    said = ""

    def are_scraped() -> bool:
        nonlocal said
        _, said = pair.first.run("promtool", "query", "instant", "http://127.0.0.1:9090", 'up{job="node"}')
        return all(f'host="{each.name}"' in said for each in (pair.first, pair.second)) and said.count("=> 1 @") == 2

    until(are_scraped, lambda: f"Prometheus has not seen the hosts: {said}")


def test_prometheus_is_only_there_for_its_own_machine(pair: Pair, made: Played) -> None:
    assert listening(pair.first, 9090) == ["127.0.0.1:9090"]
    assert listening(pair.second, 9100) == [f"{address(pair.second)}:9100"]
    assert listening(pair.second, 9090) == []


def test_the_alert_rules_hold_on_the_host_and_against_promtool(pair: Pair, made: Played) -> None:
    assert "12 rules found" in pair.first.ask("promtool", "check", "config", "/etc/labctl/prometheus/prometheus.yml")
    pair.first.write("/tmp/rules.yml", RULES.read_text(encoding="utf-8"))
    pair.first.write("/tmp/test.yml", RULE_TESTS.read_text(encoding="utf-8").replace("RULES", "/tmp/rules.yml"))
    assert "SUCCESS" in pair.first.ask("promtool", "test", "rules", "/tmp/test.yml")


def test_a_job_really_runs_on_both_nodes_as_who_asked(pair: Pair, made: Played) -> None:
    job = ["srun", "--nodes=2", "--time=1", "sh", "-c", "echo $(hostname) $(id -un)"]
    said = pair.first.ask(*job, user="nobody")
    assert sorted(said.splitlines()) == ["node1 nobody", "node2 nobody"]


def test_the_agent_has_the_servers_token_where_only_root_reads_it(pair: Pair, made: Played) -> None:
    token = pair.first.ask("cat", TOKEN)
    file = "/etc/rancher/k3s/token"
    assert pair.second.ask("cat", file) == token
    assert pair.second.ask("stat", "-c", "%a %U", file) == "600 root"
    assert pair.second.ask("systemctl", "is-active", "k3s-agent") == "active"
    assert token not in made.text + pair.second.ask("systemctl", "show", "k3s-agent") + pair.second.ask("ps", "axww")


def test_munges_key_is_the_same_on_both_and_in_no_log(pair: Pair, made: Played) -> None:
    keys = {each.ask("base64", "-w0", "/etc/munge/munge.key") for each in (pair.first, pair.second)}
    assert len(keys) == 1
    assert keys.pop() not in made.text
    assert pair.second.ask("stat", "-c", "%a %U", "/etc/munge/munge.key") == "400 munge"


def test_a_second_time_only_a_host_that_is_gone_is_forgotten(pair: Pair, made: Played) -> None:
    gone = "/etc/labctl/prometheus/targets/node.gone.json"
    pair.first.write(gone, "[]")
    again = pair.play()
    assert (again.failures, again.changed) == ([], ["monitoring: Forget them"])
    assert pair.first.run("test", "-e", gone)[0] == 1


def test_check_mode_tells_what_a_bare_machine_lacks(bare_machine: Machine, program: str) -> None:
    groups = {"slurm": [bare_machine], "k3s_server": [bare_machine]}
    tags = "slurm,k3s_server"
    looked = play(bare_machine, tags=tags, check=True, groups=groups, labctl_k3s_binary=program)
    assert looked.failures == []
    missing = {name for message in looked.messages if message.startswith("missing: ") for name in message.split()}
    assert {"munge", "slurmd", "slurmctld"} <= missing
    would = {"slurm: Write the configuration", "k3s_program: Copy it"}
    assert would <= set(looked.changed)
    assert bare_machine.run("ls", "/etc/slurm", "/etc/rancher")[0] != 0


def test_a_k3s_that_cannot_be_told_from_another_is_refused(bare_machine: Machine, program: str) -> None:
    groups = {"k3s_server": [bare_machine]}
    url = play(bare_machine, tags="k3s_server", check=True, groups=groups, labctl_k3s_url="https://example.org/k3s")
    assert "or labctl_k3s_url with labctl_k3s_sha256" in url.failures[0]
    values = {"labctl_k3s_binary": program, "labctl_k3s_sha256": "0" * 64}
    other = play(bare_machine, tags="k3s_server", check=True, groups=groups, **values)
    assert "has the sum" in other.failures[0]


def test_somebody_elses_batch_system_is_left_alone(bare_machine: Machine) -> None:
    bare_machine.write("/etc/slurm/slurm.conf", "ClusterName=theirs\n")
    try:
        said = play(bare_machine, tags="slurm", check=True, groups={"slurm": [bare_machine]})
    finally:
        bare_machine.ask("rm", "-r", "/etc/slurm")
    assert "this host is part of another cluster" in said.failures[0]
