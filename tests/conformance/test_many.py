"""Several learners at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from labctl.target import Request
from tests.conformance.engines import on_real_engines
from tests.conformance.homes import Home
from tests.conformance.labs import server

LEARNERS = [f"learner-{number}" for number in range(20)]
AT_ONCE = 8


def test_two_learners_see_nothing_of_each_other(host: Home) -> None:
    host.write({"web": server()})
    ada, bob = host.up("ada"), host.up("bob")
    assert ada.session.workspace != bob.session.workspace
    assert set(ada.services[0].ports.values()).isdisjoint(bob.services[0].ports.values())
    assert [host.ask("web", learner)["environment"]["LEARNER"] for learner in ("ada", "bob")] == ["ada", "bob"]
    host.target("ada").run(["touch", "of-ada"], timeout_s=30)
    assert [found.path for found in host.target("ada").find("of-*")] == ["of-ada"]
    assert host.target("bob").find("of-*") == []
    assert host.target("bob").run(["cat", "of-ada"], timeout_s=30).exit_code != 0


@on_real_engines
def test_the_services_of_two_learners_see_their_own_workspace_only(host: Home) -> None:
    host.write({"web": server()})
    host.up("ada")
    host.up("bob")
    (host.workspace("ada") / "mine.txt").write_text("ada's")
    seen = [host.target(learner).request(Request(service="web", path="/file/mine.txt")) for learner in ("ada", "bob")]
    assert [answer.status for answer in seen] == [200, 404]


def test_one_learners_down_leaves_the_other_running(host: Home) -> None:
    host.write({"web": server()})
    host.up("ada")
    host.up("bob")
    before = host.identity("web", "bob")
    host.down("ada")
    assert host.remains() == [host.id("bob")]
    assert host.identity("web", "bob") == before


def test_twenty_learners_start_at_once_and_each_has_a_session(host: Home) -> None:
    host.write({"web": server()})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(host.up, LEARNERS))
        answers = list(pool.map(lambda learner: host.ask("web", learner)["environment"]["LEARNER"], LEARNERS))
        assert answers == LEARNERS
        assert host.remains() == sorted(host.id(learner) for learner in LEARNERS)
        list(pool.map(host.down, LEARNERS))
    assert host.remains() == []
