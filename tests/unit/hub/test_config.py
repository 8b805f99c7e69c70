"""The Hub's configuration: a file that JupyterHub takes, with nothing of a name carried out as code."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from labctl.hub.config import Portal, configuration
from labctl.hub.folder import HubFolder
from labctl.hub.place import Place

PORTS = {"hub": 1, "proxy": 2, "board": 3}


@pytest.fixture
def portal(tmp_path: Path) -> Portal:
    return Portal(
        folder=HubFolder(tmp_path, "autumn"),
        file=tmp_path / "cohort.yaml",
        host="127.0.0.1",
        port=8000,
        proxy="/usr/bin/configurable-http-proxy",
        ports=PORTS,
    )


def carried_out(portal: Portal) -> Any:
    config = Config()
    names = {"get_config": lambda: config, "load_subconfig": lambda file: config.update(loaded=file)}
    config.JupyterHub.template_vars = {}
    exec(compile(configuration(portal), "config", "exec"), names)
    return config


def test_learners_have_their_own_servers_and_instructors_those_of_all(portal: Portal) -> None:
    roles = {role["name"]: role["scopes"] for role in carried_out(portal).JupyterHub.load_roles}
    assert set(roles["user"]) == {"self", "access:services!service=board"}
    assert {"admin:servers", "access:servers", "access:services!service=board"} <= set(roles["instructor"])
    assert not any(scope.startswith("admin") for scope in roles["board"])


def test_hub_and_proxy_interface_listen_on_this_host_alone(portal: Portal) -> None:
    config = carried_out(replace(portal, host="0.0.0.0"))
    assert config.JupyterHub.bind_url == "http://0.0.0.0:8000"
    assert (config.JupyterHub.hub_ip, config.JupyterHub.hub_port) == ("127.0.0.1", 1)
    assert config.ConfigurableHTTPProxy.api_url == "http://127.0.0.1:2"


def test_what_ends_with_the_hub_is_the_proxy_and_the_board_not_the_sessions(portal: Portal) -> None:
    config = carried_out(portal)
    assert config.JupyterHub.cleanup_servers is False
    for command in (
        config.ConfigurableHTTPProxy.command,
        *(service["command"] for service in config.JupyterHub.services),
    ):
        assert "labctl.hub.orphans" in command


def test_a_postgresql_url_is_spoken_to_by_psycopg(portal: Portal) -> None:
    config = carried_out(replace(portal, database_url="postgresql://hub@db/hub"))
    assert config.JupyterHub.db_url == "postgresql+psycopg://hub@db/hub"


def test_names_and_paths_are_values_whatever_is_in_them(portal: Portal, tmp_path: Path) -> None:
    evil = "\"]}\nimport os; raise SystemExit #'"
    more = tmp_path / evil
    found = replace(portal, instructors=[evil], file=tmp_path / evil, more=more, folder=HubFolder(tmp_path / evil, "a"))
    ast.parse(configuration(found))
    config = carried_out(found)
    assert config.JupyterHub.load_groups["instructor"]["users"] == [evil]
    assert config.LabctlSpawner.cohort == str(tmp_path / evil)
    assert config.loaded == str(more)


def test_apart_from_its_proxy_it_is_reached_by_addresses_and_ends_neither_proxy_nor_sessions(portal: Portal) -> None:
    place = Place(proxy_api="http://proxy-api:8001", address="10.1.2.3", sessions_url="http://hub.labs.svc:8081")
    config = carried_out(replace(portal, place=place, proxy="", ports={"hub": 8081, "board": 8082}))
    assert (config.JupyterHub.hub_ip, config.JupyterHub.hub_connect_ip) == ("", "10.1.2.3")
    assert config.Spawner.hub_connect_url == "http://hub.labs.svc:8081"
    assert config.LabctlSpawner.door == ""
    assert config.ConfigurableHTTPProxy.should_start is False
    assert config.ConfigurableHTTPProxy.api_url == "http://proxy-api:8001"
    assert (config.JupyterHub.cleanup_proxy, config.JupyterHub.cleanup_servers) == (False, False)
    assert config.JupyterHub.services[1]["url"] == "http://10.1.2.3:8082"
