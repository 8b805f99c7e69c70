"""`labctl cohort board`: the instructor's board on one host, without a Hub."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def autumn(home: Path, write_lab: Callable[..., Path]) -> Path:
    write_lab()
    folder = home / "autumn"
    folder.mkdir()
    (folder / "cohort.yaml").write_text("labs: [small-lab]\nroster: roster.csv\nruntime: local\n")
    (folder / "roster.csv").write_text("Name,ID\nAda Lovelace,1\n")
    return folder


@pytest.fixture
def serving(autumn: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "labctl", "cohort", "board", str(autumn)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_the_link_lets_one_browser_in_and_ctrl_c_ends_the_board(serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    link = serving.stdout.readline().strip()
    place = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)enter\?key=[\w-]{43}", link)
    assert place, link
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        page = browser.get(link)
        assert str(page.url) == f"{place[1]}class"
        assert "Ada Lovelace" in page.text
        assert browser.get(f"{place[1]}learners/1/small-lab").status_code == 200
        assert "/hub/" not in page.text
        assert browser.get(f"{place[1]}logout").status_code == 403
    for again in (link, f"{place[1]}class", f"{place[1]}enter?key=guessed"):
        refused = httpx.get(again, follow_redirects=True, timeout=60)
        assert (refused.status_code, "Ada" in refused.text) == (403, False)
        assert "good for one browser" in refused.text
    assert httpx.get(f"{place[1]}api/v1/learners", timeout=60).status_code in (401, 404)
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=60)
    assert (out, "Traceback" in err) == ("", False)
    assert serving.returncode == 130


def test_a_taken_port_is_said_in_words(autumn: Path, serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    port = serving.stdout.readline().split("/")[2].partition(":")[2]
    command = [sys.executable, "-m", "labctl", "cohort", "board", str(autumn), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr


def test_pages_that_are_open_do_not_hold_up_its_end(serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    link = serving.stdout.readline().strip()
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        browser.get(link)
        place = link.partition("enter")[0]
        with browser.stream("GET", f"{place}events?lab=small-lab") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: rows"
            serving.send_signal(signal.SIGINT)
            assert all(line.startswith(("event: summary", "data:", "id:", ":")) or not line for line in lines)
    _, err = serving.communicate(timeout=60)
    assert "ERROR" not in err
