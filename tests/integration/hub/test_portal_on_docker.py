"""The portal in front of containers: JupyterLab in the session's own, which reaches the Hub through one socket and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import LAB
from tests.integration.hub.portal import Portal, require_proxy, until

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker-portal")]
ADA = "small-lab--autumn--1001"
CONTAINED = (
    LAB.replace("64MiB", "512MiB")
    .replace("services:", "workspace: {image: docker/workspace}\nservices:")
    .replace("  page:\n    command: [python3", "  page:\n    image: docker/workspace\n    command: [python3")
)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory, docker_engine: object, base_image: str) -> Iterator[Portal]:
    require_proxy()
    portal = Portal(tmp_path_factory.mktemp("portal"), runtime="docker", lab=CONTAINED)
    portal.serve()
    yield portal
    portal.labctl("down", "--all")
    portal.end()


def test_a_learner_works_in_a_container_that_reaches_nothing_but_the_hubs_socket(portal: Portal) -> None:
    portal.labctl("cohort", "up", str(portal.cohort))
    with portal.visitor(portal.invite("1001")) as ada:
        events = ada.start("1001", "small-lab")
        assert events[-1].get("ready"), events
        assert "service page: unchanged" in [event["message"] for event in events]
        assert ada.is_in("1001", "small-lab")

        found = ada.type(
            "1001", "small-lab", "echo $((6*7)) $LABCTL_SESSION $PWD; ls /run/labctl; cat README.md", "**yes**"
        )
        assert f"42 {ADA} /workspace" in found
        assert "hub.sock" in found
        asked = f"curl -sm3 -o /dev/null -w '%{{http_code}}' {portal.url} || echo un''reachable"
        assert "unreachable" in ada.type("1001", "small-lab", asked, "unreachable")

    with portal.visitor(portal.invite("1002")) as li:
        assert li.client.get("/user/1001/small-lab/api/status").status_code in (403, 404)


def test_a_killed_hub_takes_the_container_over_and_stopping_ends_it(portal: Portal) -> None:
    with portal.visitor(portal.invite("1001")) as ada:
        ada.start("1001", "small-lab")
        before = portal.session(ADA)
        portal.kill()
        portal.serve()
        until(lambda: ada.is_in("1001", "small-lab"), "JupyterLab asks the new Hub")
        assert portal.session(ADA) == before
        assert ada.stop("1001", "small-lab") in (202, 204)
        until(lambda: portal.session(ADA) is None, "the session has ended")
