"""Two of a service behind one name, changed without a lost request. A real cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labctl.runtimes.base import State
from tests.conformance.homes import until
from tests.conformance.labs import IMAGE, server
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = pytest.mark.kubernetes
ASK = """
import json, os, time, urllib.request
asked, failed, colours = 0, [], set()
while not os.path.exists("stop"):
    asked += bool(colours)  # it begins with the first answer: names are known a moment after the service
    try:
        with urllib.request.urlopen("http://web:8000/", timeout=5) as answer:
            colours.add(json.load(answer)["environment"]["COLOUR"])
    except Exception as error:
        if colours:
            failed.append(f"{time.time():.1f} {error!r}")
    if colours:
        open("asked", "w").write(str(asked))
print(json.dumps({"asked": asked, "failed": failed, "colours": sorted(colours)}))
"""
"""A client without pause, retries or kept connections."""


def test_a_lab_that_changes_loses_no_request(faulty: FaultyHome) -> None:
    faulty.write({"web": _two("blue")}, image=IMAGE)
    faulty.up()
    assert faulty.service("web").state is State.RUNNING
    faulty.write({"web": _two("green")}, image=IMAGE)
    with _asking(faulty) as client:
        assert faulty.up().changed == ("web",)
        until(lambda: len([each for each in faulty.pods() if each["metadata"]["name"].startswith("web")]) == 2)
        (faulty.workspace() / "stop").touch()
        told = json.loads(client.communicate(timeout=60)[0])
    assert told["failed"] == []
    assert told["colours"] == ["blue", "green"]
    assert told["asked"] > 100


def test_one_of_two_that_is_missing_is_told_and_comes_back(faulty: FaultyHome) -> None:
    faulty.write({"web": _two("blue")}, image=IMAGE)
    faulty.up()
    first, second = (each["metadata"]["name"] for each in faulty.pods() if each["metadata"]["name"].startswith("web"))
    faulty.kubectl("delete", "pod", first, "--wait=false")
    until(lambda: faulty.service("web").reason.startswith("1 of 2 ready"))
    assert faulty.ask("web")["environment"]["COLOUR"] == "blue"
    until(lambda: faulty.service("web").state is State.RUNNING, within_s=60)
    assert faulty.service("web").reason == ""
    assert second in {each["metadata"]["name"] for each in faulty.pods()}


def _two(colour: str) -> dict[str, object]:
    return server(restart="on-failure", replicas=2, environment={"COLOUR": colour})


@contextmanager
def _asking(faulty: FaultyHome) -> Iterator[subprocess.Popen[str]]:
    """The client in the session's workspace, once it has had answers."""
    command = ["kubectl", "-n", faulty.namespace, "exec", "deploy/workspace", "--"]
    inside = ["sh", "-c", f'cd {faulty.session().handle["workspace"]} && exec python3 -c "$0"', ASK]
    with subprocess.Popen([*command, *inside], stdout=subprocess.PIPE, text=True) as client:
        try:
            until(lambda: (faulty.workspace() / "asked").exists())
            yield client
        finally:
            client.kill()
