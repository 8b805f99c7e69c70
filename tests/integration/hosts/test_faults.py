"""What goes wrong on machines, and the sentence that a person then reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.hosts.causes import remedy
from tests.integration.hosts.conftest import StartMachine
from tests.integration.hosts.machines import Machine
from tests.integration.hosts.playing import play
from tests.integration.hosts.walled import index

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("lab-host")]
HOLD = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(600)"
SECURE_BOOT = """
mount -t tmpfs tmpfs /sys/firmware
mkdir -p /sys/firmware/efi/efivars
printf '\\6\\0\\0\\0\\1' > /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
"""


def test_a_held_package_lock_is_waited_for_and_then_told(start_machine: StartMachine) -> None:
    machine = start_machine("locked")
    machine.ask("sh", "-c", f'python3 -c "{HOLD}" >/tmp/held & until [ -s /tmp/held ]; do :; done')
    played = play(machine, tags="common", labctl_package_lock_timeout=1)
    assert "another program has held the package lock for 1 s" in played.failures[-1]
    assert "Nothing was installed" in played.failures[-1]
    assert "labctl host prepare --resume" in played.failures[-1]
    machine.ask("sh", "-c", "(sleep 5; pkill -f lock-frontend) >/dev/null 2>&1 &")
    waited = play(machine, tags="common", labctl_package_lock_timeout=120)
    assert waited.failures == []


def test_a_disk_that_is_too_small_is_refused_before_anything_is_changed(bare_machine: Machine) -> None:
    played = play(bare_machine, tags="common", labctl_min_free_gib=900_000)
    assert "labctl_min_free_gib asks for 900000" in played.failures[-1]
    assert "Nothing was changed" in played.failures[-1]
    assert played.changed == []


def test_a_disk_that_fills_while_packages_are_fetched_is_told(start_machine: StartMachine) -> None:
    machine = start_machine("full")
    machine.ask("mkdir", "-p", "/var/cache/apt/archives")
    machine.ask("mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", "/var/cache/apt/archives")
    played = play(machine, tags="common")
    assert "the disk is full; make room and run the same again" in played.failures[-1]


def test_a_package_that_no_source_has_is_told(bare_machine: Machine) -> None:
    played = play(bare_machine, tags="common", common_packages=["labctl-no-such-package"])
    assert "labctl-no-such-package: the sources of packages of this host do not have them" in played.failures[-1]


def test_a_proxy_that_does_not_answer_is_named(bare_machine: Machine) -> None:
    played = play(bare_machine, tags="common", labctl_http_proxy="http://127.0.0.1:9")
    bare_machine.ask("rm", "/etc/apt/apt.conf.d/95labctl-proxy")
    assert "labctl_http_proxy" in played.failures[-1]
    assert "127.0.0.1:9" in played.failures[-1] or "127.0.0.1" in played.failures[-1]


def test_an_authority_that_a_machine_does_not_know_is_named_and_then_trusted(
    start_machine: StartMachine, docker_engine: DockerClient, tmp_path: Path
) -> None:
    machine = start_machine("walled")
    gateway = docker_engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    with index(gateway, tmp_path) as walled:
        refused = play(machine, tags="common,labctl", labctl_pip_index_url=walled.url)
        assert "labctl_ca_certificates" in remedy(refused.failures[-1]), refused.failures
        trusting = play(machine, tags="common", labctl_ca_certificates=[str(walled.certificate)])
        assert trusting.failures == []
        assert (
            machine.ask(
                "curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}", walled.url
            )
            == "200"
        )


def test_a_wrong_type_is_told_before_anything_is_changed(bare_machine: Machine) -> None:
    played = play(bare_machine, labctl_docker_users="not a number", labctl_docker_log_max_file="many")
    assert "labctl_docker_log_max_file" in played.failures[-1]
    assert played.changed == []


def test_a_driver_would_be_installed_of_the_branch_and_the_reboot_is_announced(bare_machine: Machine) -> None:
    played = play(bare_machine, tags="nvidia_driver", check=True, labctl_gpu="true", labctl_nvidia_driver_branch="570")
    kernel = bare_machine.ask("uname", "-r")
    assert played.failures == []
    assert f"missing: linux-headers-{kernel} dkms" in played.messages
    assert "missing: nvidia-driver-cuda nvidia-kernel-open-dkms" in played.messages
    assert "Pin: version 570.*" in played.text
    assert any("the role would stop for a reboot, which labctl_allow_reboot allows" in each for each in played.messages)


def test_modules_that_secure_boot_would_not_load_are_refused(start_machine: StartMachine) -> None:
    machine = start_machine("secure")
    machine.ask("sh", "-c", SECURE_BOOT)
    played = play(machine, tags="nvidia_driver", check=True, labctl_gpu="true")
    assert "Secure Boot is on" in played.failures[-1]
    enrolled = play(machine, tags="nvidia_driver", check=True, labctl_gpu="true", labctl_secure_boot_key_enrolled=True)
    assert enrolled.failures == []


def test_a_toolkit_that_containers_get_out_of_is_refused(start_machine: StartMachine) -> None:
    machine = start_machine("escaped")
    machine.write("/usr/bin/nvidia-ctk", "#!/bin/sh\necho 'NVIDIA Container Toolkit CLI version 1.17.7'\n")
    machine.ask("chmod", "755", "/usr/bin/nvidia-ctk")
    played = play(machine, tags="container_toolkit", check=True, labctl_gpu="true")
    assert "1.17.7" in played.failures[-1]
    assert "CVE-2025-23266" in played.failures[-1]
    assert "CVE-2024-0132" not in played.failures[-1]


def test_slices_are_announced_in_check_mode(bare_machine: Machine) -> None:
    layout = [{"gpus": "all", "profiles": ["3g.40gb", "3g.40gb"]}]
    played = play(bare_machine, tags="mig", check=True, labctl_gpu="true", labctl_mig_layout=layout)
    assert played.failures == []
    assert "mig: Say which slices were asked for" in played.changed


def test_a_configuration_of_docker_that_is_no_json_is_left_alone(start_machine: StartMachine) -> None:
    machine = start_machine("broken")
    machine.write("/etc/docker/daemon.json", "{oops")
    played = play(machine, tags="docker", check=True)
    assert "is not JSON" in played.failures[-1]
    assert machine.ask("cat", "/etc/docker/daemon.json") == "{oops"
