"""A host is watched: Prometheus really scrapes it, and the alert rules hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import machines
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import PLAYBOOKS, Played, play

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("lab-host")]
DEADLINE_S = 60
RULES = PLAYBOOKS / "roles" / "monitoring" / "files" / "labctl.rules.yml"
RULE_TESTS = Path(__file__).with_name("labctl.rules.test.yml")


def until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def watch(machine: Machine, *, check: bool = False) -> Played:
    return play(machine, tags="monitoring", check=check)


@pytest.fixture(scope="module")
def watched(docker_engine: DockerClient, systemd_image: str) -> Iterator[Machine]:
    with machines.running(docker_engine, systemd_image, "watched") as machine:
        assert watch(machine).failures == []
        yield machine


def test_prometheus_really_scrapes_the_exporter(watched: Machine) -> None:
    def is_scraped() -> bool:
        _, said = watched.run("promtool", "query", "instant", "http://127.0.0.1:9090", 'up{job="node"}')
        return f'host="{watched.name}"' in said and "=> 1 @" in said

    until(is_scraped, "Prometheus has not seen the host")


def test_a_second_time_nothing_changes(watched: Machine) -> None:
    again = watch(watched)
    assert (again.failures, again.changed) == ([], [])
    assert watch(watched, check=True).changed == []


def test_nothing_of_it_is_open_to_others(watched: Machine) -> None:
    listening = {line.split()[3] for line in watched.ask("ss", "-Hltn").splitlines()}
    ours = {address for address in listening if address.endswith((":9090", ":9100"))}
    assert ours == {"127.0.0.1:9090", "127.0.0.1:9100"}


def test_the_rules_hold_on_the_host_and_against_promtool(watched: Machine) -> None:
    assert "12 rules found" in watched.ask("promtool", "check", "config", "/etc/labctl/prometheus/prometheus.yml")
    watched.write("/tmp/rules.yml", RULES.read_text(encoding="utf-8"))
    watched.write("/tmp/test.yml", RULE_TESTS.read_text(encoding="utf-8").replace("RULES", "/tmp/rules.yml"))
    assert "SUCCESS" in watched.ask("promtool", "test", "rules", "/tmp/test.yml")


def test_a_host_that_left_the_inventory_is_asked_no_more(watched: Machine) -> None:
    gone = "/etc/labctl/prometheus/targets/node.gone.json"
    watched.write(gone, "[]")
    assert watch(watched).changed == ["monitoring: Forget them"]
    assert watched.run("test", "-e", gone)[0] == 1


def test_check_mode_tells_what_a_bare_machine_lacks(bare_machine: Machine) -> None:
    looked = watch(bare_machine, check=True)
    assert looked.failures == []
    assert {"missing: prometheus", "missing: prometheus-node-exporter"} <= set(looked.messages)
    assert "monitoring: Write the rules" in looked.changed
    assert bare_machine.run("test", "-e", "/etc/labctl")[0] == 1
