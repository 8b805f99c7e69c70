"""Secrets: named in a lab file, made up once a session, and nowhere but in its folder."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabFileError
from labctl.labs.lab import load_folder
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes import secrets

LAB = """\
title: A lab with a password
stage: 1
minutes: 5
profiles: {cpu: {memory: 64MiB}}
workspace: {image: "base:1", environment: {KEY: "{{ secret('api-key') }}"}}
services:
  web:
    image: "web:1"
    command: [serve, --password, "{{ secret('%s') }}"]
    environment: {SAME: "x{{ secret('admin') }}y"}
criteria:
  - {id: one, text: there, points: 1, hint: look, checks: [{file: {path: a}}]}
"""


@pytest.fixture
def made(write_lab: Callable[..., Path]) -> Plan:
    lab = load_folder(write_lab(text=LAB % "admin"))
    return plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


def test_a_plan_only_names_its_secrets(made: Plan) -> None:
    assert made.services[0].command[-1] == "${LABCTL_SECRET_ADMIN}"
    assert made.workspace.environment == {"KEY": "${LABCTL_SECRET_API_KEY}"}


def test_secrets_are_made_once_for_their_owner_only(made: Plan, tmp_path: Path) -> None:
    root = tmp_path / "session"
    root.mkdir()
    first = secrets.ensure(root, made)
    assert set(first) == {"ADMIN", "API_KEY"}
    assert first["ADMIN"] != first["API_KEY"]
    assert min(map(len, first.values())) >= 32
    again = secrets.ensure(root, made, "JUPYTER_TOKEN")
    assert {name: again[name] for name in first} == first
    (file,) = root.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets.forget(root)
    secrets.forget(root)
    assert secrets.read(root) == {}


def test_a_secret_is_filled_in_where_it_is_named() -> None:
    known = {"ADMIN": "s3cret"}
    assert secrets.fill("a ${LABCTL_SECRET_ADMIN} b $HOME ${HOME}", known) == "a s3cret b $HOME ${HOME}"
    assert secrets.fill("${LABCTL_SECRET_OTHER}", known) == "${LABCTL_SECRET_OTHER}"


def test_a_name_that_is_none_is_an_error_with_its_place(write_lab: Callable[..., Path]) -> None:
    lab = load_folder(write_lab(text=LAB % "No Name"))
    with pytest.raises(LabFileError, match=r"lab.yaml:\d+:\d+: services.web.command.*is no name of a secret"):
        plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))
