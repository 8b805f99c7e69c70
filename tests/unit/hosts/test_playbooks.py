"""Which roles a playbook has."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import LabFileError, NotFoundError
from labctl.hosts import playbooks

PLAY = """\
- import_playbook: first.yml
- hosts: all
  vars: {secret: !vault "abc"}
  roles:
    - common
    - {role: labctl.hosts.docker, tags: [docker]}
  tasks:
    - name: Not a role
      ansible.builtin.debug: {msg: no}
    - name: In a block
      block:
        - ansible.builtin.import_role: {name: mig}
    - include_role: {name: common}
"""


def test_roles_are_told_in_order_each_once(tmp_path: Path) -> None:
    (tmp_path / "first.yml").write_text("- hosts: all\n  roles: [early]\n")
    (tmp_path / "site.yml").write_text(PLAY)
    assert playbooks.roles(tmp_path / "site.yml") == ("early", "common", "docker", "mig")


@pytest.mark.parametrize("text", ["a: b", "- [", "- text"])
def test_what_is_no_playbook_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(text)
    with pytest.raises(LabFileError, match=r"site.yml"):
        playbooks.roles(tmp_path / "site.yml")


def test_a_playbook_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no playbook .*nothing\.yml"):
        playbooks.find(tmp_path / "nothing.yml")
