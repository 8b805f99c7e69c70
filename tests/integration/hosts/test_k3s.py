"""k3s's roles: what they refuse, what they would do, and what they do with a program that stands in for k3s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import machines
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import play

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("lab-host")]
STAND_IN = """\
#!/bin/sh
mkdir -p /var/lib/rancher/k3s/server
[ "$1" = agent ] || echo "K10secret::server:0123456789" > /var/lib/rancher/k3s/server/node-token
systemd-notify --ready
exec sleep infinity
"""
"""k3s itself is only on GitHub, which not every machine reaches: this makes the token and says that it is ready, as k3s does."""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "k3s").write_text(STAND_IN)
    return str(tmp_path / "k3s")


def test_a_url_without_a_sum_is_refused(bare_machine: Machine) -> None:
    url = "https://example.org/k3s"
    groups = {"k3s_server": [bare_machine]}
    said = play(bare_machine, tags="k3s_server", check=True, groups=groups, labctl_k3s_url=url)
    assert "or labctl_k3s_url with labctl_k3s_sha256" in said.failures[0]


def test_another_program_than_the_one_asked_for_is_refused(bare_machine: Machine, program: str) -> None:
    values = {"labctl_k3s_binary": program, "labctl_k3s_sha256": "0" * 64}
    said = play(bare_machine, tags="k3s_server", check=True, groups={"k3s_server": [bare_machine]}, **values)
    assert "has the sum" in said.failures[0]


def test_check_mode_on_a_bare_machine_tells_what_it_would_do(bare_machine: Machine, program: str) -> None:
    groups = {"k3s_server": [bare_machine]}
    looked = play(bare_machine, tags="k3s_server", check=True, groups=groups, labctl_k3s_binary=program)
    assert looked.failures == []
    assert {"k3s_program: Copy it", "k3s_server: Configure it"} <= set(looked.changed)
    assert bare_machine.run("test", "-e", "/etc/rancher")[0] == 1


def test_server_and_agent_are_made_twice_without_change_and_the_token_stays_secret(
    docker_engine: DockerClient, systemd_image: str, program: str
) -> None:
    with (
        machines.running(docker_engine, systemd_image, "server") as server,
        machines.running(docker_engine, systemd_image, "agent") as agent,
    ):
        groups = {"k3s_server": [server], "k3s_agent": [agent]}
        made = play(server, agent, tags="k3s_server,k3s_agent", groups=groups, labctl_k3s_binary=program)
        again = play(server, agent, tags="k3s_server,k3s_agent", groups=groups, labctl_k3s_binary=program)
        assert (made.failures, again.failures, again.changed) == ([], [], [])
        assert "K10secret" not in made.text + again.text
        assert agent.ask("stat", "-c", "%a %U", "/etc/rancher/k3s/token") == "600 root"
        assert "K10secret" in agent.ask("cat", "/etc/rancher/k3s/token")
        assert agent.ask("systemctl", "is-active", "k3s-agent") == "active"
        assert "K10secret" not in agent.ask("systemctl", "show", "k3s-agent") + agent.ask("ps", "axww")
