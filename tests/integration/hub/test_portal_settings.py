"""The portal with other settings: another authenticator, PostgreSQL, links that were withdrawn, a proxy that is not there."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.hub.portal import Portal, Visitor, require_proxy, until

pytestmark = pytest.mark.xdist_group("portal")
OTHER_LOGIN = """\
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "correct horse"
c.Authenticator.admin_users = set()
"""
MakePortal = Callable[..., Portal]


@pytest.fixture
def make_portal(tmp_path: Path) -> Iterator[MakePortal]:
    require_proxy()
    made: list[Portal] = []

    def make(cohort: str = "") -> Portal:
        made.append(Portal(tmp_path, cohort))
        return made[-1]

    yield make
    for portal in made:
        portal.end()
        portal.labctl("down", "--all")


def log_in_by_name(visitor: Visitor, name: str) -> str:
    """The page where they arrive."""
    page = visitor.client.get("/hub/login")
    xsrf = dict(re.findall(r'name="(_xsrf)" value="([^"]*)"', page.text))
    fields = {**xsrf, "username": name, "password": "correct horse"}
    return visitor.client.post("/hub/login", data=fields).url.path


def test_any_authenticator_of_jupyterhub_serves_and_learners_are_told_by_their_address(make_portal: MakePortal) -> None:
    portal = make_portal('instructors: ["grace@example.org"]\n')
    (portal.folder / "more.py").write_text(OTHER_LOGIN)
    portal.serve("--config", str(portal.folder / "more.py"))
    with portal.visitor() as ada, portal.visitor() as eve, portal.visitor() as grace:
        assert log_in_by_name(ada, "Ada@Example.org").startswith("/services/board/")
        assert ada.start("ada@example.org", "small-lab")[-1].get("ready")
        session = portal.session("small-lab--autumn--1001")
        assert session is not None
        assert session["learner"] == "1001"

        log_in_by_name(eve, "eve")
        refused = eve.start("eve", "small-lab")[-1]
        assert "Eve is not on the list of autumn" in (refused.get("message") or refused["text"])
        assert log_in_by_name(grace, "grace@example.org") == "/services/board/class"
        assert grace.client.get("/hub/admin").status_code == 200


def test_withdrawn_links_let_nobody_in_and_log_out_who_came_by_them(make_portal: MakePortal) -> None:
    portal = make_portal()
    (portal.folder / "more.py").write_text("c.Authenticator.auth_refresh_age = 1\n")
    portal.serve("--config", str(portal.folder / "more.py"))
    link, instructors = portal.invite("1001"), portal.invite("--instructor", "Grace")
    with portal.visitor(link) as ada, portal.visitor(instructors) as grace:
        assert ada.client.get("/hub/home").url.path == "/hub/home"
        assert grace.client.get("/hub/admin").status_code == 200
        answer = portal.labctl("hub", "invite", str(portal.cohort), "1001", "--revoke", "--json")
        assert json.loads(answer)["revoked"] == ["1001"]
        assert ada.client.get(link).status_code == 403
        until(lambda: ada.client.get("/hub/home").url.path == "/hub/login", "Ada is logged out")
        assert grace.client.get("/hub/home").url.path == "/hub/home"


def test_the_hubs_own_database_may_be_postgresql(make_portal: MakePortal, postgresql_database: str) -> None:
    portal = make_portal()
    portal.serve("--db", postgresql_database)
    with portal.visitor(portal.invite("1001")) as ada:
        assert ada.start("1001", "small-lab")[-1].get("ready")
        portal.kill()
        portal.serve("--db", postgresql_database)
        assert ada.is_in("1001", "small-lab")
    assert not (portal.folder / "home/hubs/autumn/jupyterhub.sqlite").exists()


def test_the_portal_ends_at_once_while_something_is_starting_and_goes_on_later(make_portal: MakePortal) -> None:
    portal = make_portal()
    file = portal.folder / "labs" / "small-lab" / "lab.yaml"
    quick = file.read_text(encoding="utf-8")
    file.write_text(
        quick.replace("command: [python3, -m", "healthcheck: {http: /, timeout: 300}\n    command: [sleep, '300', -m")
    )
    portal.serve()
    with portal.visitor(portal.invite("1001")) as ada:
        assert "spawn-pending" in str(ada.client.get("/hub/spawn/1001/small-lab").url)
        until(lambda: portal.session("small-lab--autumn--1001"), "it is starting")
        began = time.monotonic()
        portal.end()
        assert time.monotonic() - began < 30
        file.write_text(quick, encoding="utf-8")
        portal.serve()
        assert ada.start("1001", "small-lab")[-1].get("ready")


def test_what_is_missing_is_said_before_anything_starts(make_portal: MakePortal) -> None:
    portal = make_portal("instructors: ['1002']\n")
    cohort = str(portal.cohort)
    wrong = json.loads(portal.labctl("hub", "serve", cohort, "--port", str(portal.port), code=7) or "{}")
    assert wrong == {}
    file = portal.cohort / "cohort.yaml"
    file.write_text(file.read_text().replace("instructors: ['1002']\n", ""))
    portal.labctl("hub", "serve", cohort, "--config", "nowhere.py", code=2)
    portal.labctl("hub", "invite", cohort, "nobody", code=5)
    portal.labctl("hub", "invite", cohort, "--instructor", "1001", code=2)
    portal.labctl("hub", "invite", cohort, "--expires", "soon", code=2)
    portal.env = {**portal.env, "LABCTL_HUB_PROXY": os.devnull}
    portal.labctl("hub", "serve", cohort, code=4)
