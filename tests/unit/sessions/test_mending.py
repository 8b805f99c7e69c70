"""`doctor` names the Ansible role that mends a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.hosts import playbooks
from labctl.sessions.finding import Finding
from labctl.sessions.mending import ROLES, has_nvidia_device, roles, with_roles


def named(name: str, ok: bool | None = False) -> Finding:
    return Finding(name=name, ok=ok, detail="")


def test_what_is_lacking_comes_with_the_role_that_mends_it() -> None:
    found = list(
        with_roles(
            [named("disk"), named("MIG", None), named("Docker"), named("C compiler", ok=True)], is_gpu_there=True
        )
    )
    assert [each.role for each in found] == ["", "mig", "docker", ""]
    assert roles(found) == ["docker", "mig"]


@pytest.mark.parametrize(("is_there", "role"), [(True, "nvidia_driver"), (False, "")])
def test_a_driver_is_for_machines_with_a_card(is_there: bool, role: str) -> None:
    (found,) = with_roles([named("GPU", None)], is_gpu_there=is_there)
    assert found.role == role


def test_every_role_that_is_named_exists() -> None:
    assert set(ROLES.values()) <= set(playbooks.roles(playbooks.find()))


def test_a_card_is_known_by_its_vendor(tmp_path: Path) -> None:
    for number, vendor in (("0", "0x8086"), ("1", "0x10de")):
        (tmp_path / number).mkdir()
        (tmp_path / number / "vendor").write_text(f"{vendor}\n")
    assert has_nvidia_device(tmp_path)
    (tmp_path / "1" / "vendor").unlink()
    assert not has_nvidia_device(tmp_path)
