"""`labctl hub invite`: links for people, for a mail merge, for programs."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def cohort(home: Path, write_lab: Callable[..., Path]) -> str:
    write_lab()
    (home / "autumn").mkdir()
    (home / "autumn" / "cohort.yaml").write_text("labs: [small-lab]\nroster: roster.csv\n")
    (home / "autumn" / "roster.csv").write_text("Name,ID,Email\n=cmd(),1,x@example.org\n李雷,2,\n", encoding="utf-8")
    return str(home / "autumn")


def labctl(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *args], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_everybody_on_the_list_gets_a_link_and_no_cell_is_a_formula(cohort: str, home: Path) -> None:
    table = list(csv.reader(io.StringIO(labctl("hub", "invite", cohort, "--csv").stdout)))
    assert table[0] == ["user", "name", "email", "link", "expires"]
    assert [row[:3] for row in table[1:]] == [["1", "'=cmd()", "x@example.org"], ["2", "李雷", ""]]
    assert all(row[3].startswith("http://127.0.0.1:8000/hub/invite?token=") for row in table[1:])
    folder = home / "home" / "hubs" / "autumn"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not any(table[1][3].partition("=")[2] in file.read_text(errors="replace") for file in folder.iterdir())


def test_links_are_made_for_the_address_that_learners_see(cohort: str) -> None:
    found = json.loads(labctl("hub", "invite", cohort, "李雷", "--url", "https://labs.example.org/", "--json").stdout)
    assert [each["user"] for each in found["invites"]] == ["2"]
    assert found["invites"][0]["url"].startswith("https://labs.example.org/hub/invite?token=")


def test_nothing_of_the_hub_is_loaded_for_help() -> None:
    code = "import sys; sys.argv=['labctl','--help']\ntry:\n import labctl.cli.main as m; m.main()\nfinally:\n print(sorted({'jupyterhub','fastapi','sqlalchemy','tornado'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines()[-1] == "[]"
