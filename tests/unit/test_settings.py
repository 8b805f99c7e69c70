"""Where settings come from, and what is refused before anything else is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import UsageError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"LABCTL_HOME": str(tmp_path / "home"), "USER": "ada", "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "config" / "labctl").mkdir(parents=True)
    (tmp_path / "config" / "labctl" / "config.toml").write_text(text, encoding="utf-8")


def test_home_is_resolved_because_processes_are_found_by_its_text(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    chosen = settings.load({**environ, "LABCTL_HOME": str(tmp_path / "link" / "home")})
    assert chosen.home == tmp_path / "real" / "home"


@pytest.mark.parametrize("name", ["LABCTL_HOME", "LABCTL_WORKSPACES", "LABCTL_MODELS", "LABCTL_LABS"])
@pytest.mark.parametrize(("value", "why"), [("~nosuchuser/x", "no such home"), ("/tmp/caf\udce9", "not UTF-8")])
def test_a_path_that_is_none_is_a_usage_error(environ: dict[str, str], name: str, value: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        settings.load({**environ, name: value})
    assert name in caught.value.what


def test_links_that_lead_in_a_circle_are_a_usage_error(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="circle"):
        settings.load({**environ, "LABCTL_HOME": str(tmp_path / "loop" / "home")})


@pytest.mark.parametrize(("name", "id"), [("../../x", "x"), ("Ada L", "ada-l"), ("ada", "ada")])
def test_the_learner_of_the_environment_becomes_an_id(environ: dict[str, str], name: str, id: str) -> None:
    assert settings.load({**environ, "LABCTL_LEARNER": name}).learner == id


def test_a_misspelt_setting_is_named_with_the_nearest(tmp_path: Path, environ: dict[str, str]) -> None:
    write_config(tmp_path, 'LABCTL_PROFLE = "cpu"\n')
    with pytest.raises(UsageError, match="'LABCTL_PROFLE'") as caught:
        settings.load(environ)
    assert caught.value.hint == "did you mean LABCTL_PROFILE?"


def test_a_list_of_lab_folders_is_accepted_in_the_file(tmp_path: Path, environ: dict[str, str]) -> None:
    write_config(tmp_path, 'LABCTL_LABS = ["/one", "/two"]\n')
    assert settings.load(environ).labs == (Path("/one"), Path("/two"))


@pytest.mark.parametrize("text", ["LABCTL_MODELS = ['/one', '/two']", "LABCTL_LABS = [1]", "[LABCTL_MODELS]\nx = 1"])
def test_a_list_or_a_table_for_one_value_is_refused(tmp_path: Path, environ: dict[str, str], text: str) -> None:
    write_config(tmp_path, text)
    with pytest.raises(UsageError, match="from the file"):
        settings.load(environ)


def test_a_user_without_a_home_needs_only_the_two_folders(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del environ["XDG_CONFIG_HOME"]
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)  # a uid without a passwd entry
    with pytest.raises(UsageError, match="is HOME set"):
        settings.load(environ)
    assert settings.load({**environ, "LABCTL_WORKSPACES": "/work"}).workspaces == Path("/work")


def test_a_workspace_in_a_cluster_is_a_claim_of_its_default_storage_until_it_is_said(environ: dict[str, str]) -> None:
    chosen = settings.load(environ)
    assert (chosen.kubeconfig, chosen.storage_class, chosen.workspace_volume) == (None, None, "claim")
    environ |= {"LABCTL_WORKSPACE_VOLUME": "host", "LABCTL_STORAGE_CLASS": "fast", "KUBECONFIG": "/a:/b"}
    chosen = settings.load(environ)
    assert (chosen.kubeconfig, chosen.storage_class, chosen.workspace_volume) == ("/a:/b", "fast", "host")


def test_a_workspace_volume_that_there_is_not_is_refused_with_those_there_are(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="'nfs'") as caught:
        settings.load({**environ, "LABCTL_WORKSPACE_VOLUME": "nfs"})
    assert "claim" in f"{caught.value.what} {caught.value.hint}"
    assert "host" in f"{caught.value.what} {caught.value.hint}"
