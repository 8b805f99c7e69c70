"""The board in the portal that `labctl hub serve` makes: by an invite link to one's labs, into JupyterLab, and judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hub.portal import Portal, Visitor, require_proxy, until

pytestmark = pytest.mark.xdist_group("portal")
BOARD = "/services/board/"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    require_proxy()
    portal = Portal(tmp_path_factory.mktemp("portal"))
    portal.serve()
    until(lambda: portal_answers(portal), "the board answers")
    yield portal
    portal.labctl("down", "--all")
    portal.end()


def portal_answers(portal: Portal) -> bool:
    with portal.visitor() as somebody:
        return somebody.client.get(f"{BOARD}static/board.css").status_code == 200


def test_a_learner_arrives_at_their_labs_starts_one_and_has_it_judged(portal: Portal) -> None:
    with portal.visitor() as ada:
        arrived = ada.log_in(portal.invite("1001"))
        assert arrived.url.path == f"{BOARD}learners/1001"
        assert "Ada &lt;b&gt;Lovelace" in arrived.text
        start = re.search(r'href="(/hub/spawn/1001/small-lab)">Start<', arrived.text)
        assert start
        assert ada.start("1001", "small-lab")[-1].get("ready")
        assert ada.client.get(start[1]).url.path.startswith("/user/1001/small-lab/")

        place = Path(portal.env["LABCTL_WORKSPACES"]) / "autumn" / "1001" / "small-lab"
        (place / "answer.txt").write_text("yes")
        page = ada.client.get(f"{BOARD}learners/1001/small-lab").text
        assert re.search(r'href="/hub/spawn/1001/small-lab">Open the lab<', page)
        ada.client.post(f"{BOARD}learners/1001/small-lab/verify", data={"csrf": csrf_of(page)})
        until(lambda: "10 of 10 points" in lab_page(ada), "the page says what came of it")
        assert ada.client.get(f"{BOARD}class").status_code == 403
        assert ada.client.get(f"{BOARD}learners/1002").status_code == 403

        with portal.visitor() as teacher:
            seen = teacher.log_in(portal.invite("--instructor", "eve"))
            assert seen.url.path == f"{BOARD}class"
            row = seen.text.split('id="r-1001"')[1].split("</tr>")[0]
            assert "10/10" in row
            assert "running" in row


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found
    return found[1]


def lab_page(visitor: Visitor) -> str:
    return visitor.client.get(f"{BOARD}learners/1001/small-lab").text
