"""The command line's contract: streams, exit codes, errors. Run as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LAB

WriteLab = Callable[..., Path]
Result = subprocess.CompletedProcess[str]


def labctl(*args: str, **environment: str) -> Result:
    """`labctl ARGS` in the home that the fixture `home` has made, without a terminal."""
    values = {**os.environ, **environment}
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=values, timeout=120)


def error_of(result: Result) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    return error


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (("up", "nothing-such"), 5, "no lab named 'nothing-such'", "`labctl list`"),
        (("show", "smal-lab"), 5, "no lab named 'smal-lab'", "did you mean small-lab?"),
        (("verify",), 5, "no session is running", "`labctl up LAB`"),
        (("down", "small-lab"), 5, "no session of 'small-lab' is running", "`labctl up small-lab`"),
        (("logs", "small-lab"), 5, "no session of 'small-lab' is running", ""),
        (("lst",), 2, "no command 'lst'", "did you mean `labctl list`?"),
        (("list", "--stage", "9"), 2, "9 is not in the range", "labctl list --help`"),
        (("list", "--course", "nothing"), 5, "no course named 'nothing'", "courses:"),
        (("up", "small-lab", "--runtime", "dcoker"), 2, "no runtime 'dcoker'", "it has:"),
        (("up", "small-lab", "--profile", "gpu"), 2, "no profile 'gpu'", "it has: cpu"),
        (("up", "small-lab", "--ttl", "soon"), 2, "'soon' is not a duration", "--ttl 4h"),
        (("up", "small-lab", "--ttl", "1s"), 2, "not between 1m and 30d", ""),
        (("up",), 2, "Missing argument", "labctl up --help`"),
        (("nonsense",), 2, "no command 'nonsense'", "`labctl --help`"),
        (("up", "small-lab", "--nonsense"), 2, "No such option", ""),
        (("verify", "--format", "pdf"), 2, "'pdf' is no format", "use one of: text"),
        (("render", "small-lab", "--format", "pdf"), 2, "'pdf' is no format", "use one of: plan"),
        (("up", "broken-lab"), 7, "lab.yaml:2:1: not YAML", ""),
        (("show", "broken-lab"), 7, "lab.yaml:2:1: not YAML", ""),
        (("lab", "new", "Not An Id"), 2, "is no lab id", "lower-case"),
        (("shell", "small-lab"), 2, "a shell needs a terminal", "labctl exec"),
        (("down", "--all", "small-lab"), 2, "exclude each other", ""),
        (("lab", "test"), 2, "which lab?", "say --all"),
        (("lab", "test", "--all", "small-lab"), 2, "exclude each other", ""),
        (("lab", "test", "small-lab", "smal-lab"), 5, "no lab named 'smal-lab'", "did you mean small-lab?"),
    ],
)
def test_bad_input_is_one_error_with_its_code_and_a_next_step(
    home: Path, write_lab: WriteLab, args: tuple[str, ...], code: int, message: str, hint: str
) -> None:
    write_lab()
    write_lab("broken-lab", text="a: [")
    result = labctl(*args)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_with_json_is_json_on_stdout(home: Path) -> None:
    result = labctl("up", "nothing-such", "--json")
    assert (result.returncode, result.stderr) == (5, "")
    assert error_of(result) == {
        "code": 5,
        "message": "no lab named 'nothing-such'",
        "hint": "`labctl list` shows the labs there are",
    }


def test_a_usage_error_with_json_is_json_too(home: Path) -> None:
    assert error_of(labctl("list", "--json", "--stage", "nine"))["code"] == 2


def test_a_bug_of_ours_is_a_log_file_and_exit_70(home: Path) -> None:
    (home / "home").mkdir()
    (home / "home" / "labctl.db").mkdir()
    result = labctl("doctor", "--json")
    assert result.returncode in (4, 70)
    assert "Traceback" not in result.stderr


def test_list_shows_labs_and_hints_apart(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    result = labctl("list")
    assert result.returncode == 0
    assert "small-lab" in result.stdout
    assert "labctl up LAB" in result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_list_quiet_is_ids_only_and_json_has_progress(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    assert "small-lab" in labctl("list", "--quiet").stdout.splitlines()
    rows = {row["id"]: row for row in json.loads(labctl("list", "--json").stdout)["labs"]}
    assert rows["small-lab"]["progress"] is None
    assert rows["small-lab"]["stage"] == 1


def test_a_flag_has_an_environment_name(home: Path, write_lab: WriteLab) -> None:
    write_lab("stage1-one")
    assert "stage1-one" not in labctl("list", "--quiet", LABCTL_LIST_STAGE="4").stdout


def test_a_lab_of_a_stranger_cannot_write_to_the_terminal(home: Path, write_lab: WriteLab) -> None:
    write_lab(text=LAB.replace("A small lab", '"\\e[31m[bold]red\\x9b"'))
    for args in (("list",), ("show", "small-lab"), ("list", "--json"), ("show", "small-lab", "--json")):
        shown = labctl(*args).stdout
        assert "\x1b" not in shown
        assert "\x9b" not in shown
    assert "[bold]red" in labctl("list").stdout


def test_settings_come_from_flag_environment_file_default_in_that_order(home: Path) -> None:
    config = home / "config" / "labctl" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('LABCTL_PROFILE = "gpu"\nLABCTL_HOME = "/from/file"\n')
    settings = {row["name"]: row for row in json.loads(labctl("doctor", "--json").stdout)["settings"]}
    assert settings["LABCTL_PROFILE"] == {"name": "LABCTL_PROFILE", "value": "gpu", "origin": "file"}
    assert settings["LABCTL_HOME"]["origin"] == "environment"
    assert settings["LABCTL_RUNTIME"] == {"name": "LABCTL_RUNTIME", "value": "local", "origin": "default"}
    config.write_text("LABCTL_PROFILE = [unclosed")
    assert labctl("list").returncode == 2


def test_render_writes_the_plan_with_templates_filled_in(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    plan = json.loads(labctl("render", "small-lab").stdout)
    assert plan["services"][0]["command"] == ["python3", "-m", "http.server", "8000"]
    assert plan["session"] == "small-lab--ada"


def test_validate_reports_every_lab_and_exits_7(home: Path, write_lab: WriteLab) -> None:
    write_lab(text=LAB.replace("points: 3", "points: none"))
    result = labctl("lab", "validate", str(home / "labs" / "small-lab"))
    assert result.returncode == 7
    assert "small-lab/lab.yaml:14:5: criteria.0.points" in result.stderr


def test_a_new_lab_is_valid(home: Path) -> None:
    made = labctl("lab", "new", "stage3-mine").stdout.strip()
    assert Path(made, "lab.yaml").is_file()
    result = labctl("lab", "validate", made)
    assert (result.returncode, result.stdout) == (0, f"✓ {made}\n")
    assert labctl("lab", "new", "stage3-mine").returncode == 2


def test_the_schema_accepts_our_labs_and_names_every_kind(home: Path) -> None:
    import jsonschema
    import yaml

    from labctl.labs.catalog import builtin_folder

    schema = json.loads(labctl("lab", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    for file in builtin_folder().glob("*/lab.yaml"):
        jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"title": "x", "nonsense": 1}, schema)


def test_help_and_list_load_nothing_heavy(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    heavy = (
        "docker",
        "kubernetes",
        "ansible_runner",
        "sqlalchemy",
        "httpx",
        "numpy",
        "jinja2",
        "pynvml",
        "labctl.checks",
    )
    for args in ("--help", "list"):
        program = (
            "import sys; from labctl.cli.main import main; sys.argv = ['labctl', sys.argv[1]]; main();"
            f"sys.stderr.write('loaded: ' + ' '.join(name for name in {heavy!r} if name in sys.modules))"
        )
        result = subprocess.run([sys.executable, "-c", program, args], capture_output=True, text=True, check=True)
        assert result.stderr.splitlines()[-1].strip() == "loaded:"


def test_no_home_that_can_be_written_is_exit_4(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    (home / "file").write_text("not a folder")
    result = labctl("up", "small-lab", LABCTL_HOME=str(home / "file" / "below"))
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("labctl ver", "verify"),
        ("labctl up sma", "small-lab"),
        ("labctl verify small-lab --criterion wr", "written"),
        ("labctl logs small-lab pa", "page"),
        ("labctl lab val", "validate"),
    ],
)
def test_the_shell_completes_verbs_labs_services_and_criteria(
    home: Path, write_lab: WriteLab, typed: str, offered: str
) -> None:
    write_lab()
    words = {"_LABCTL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    program = "import sys; from labctl.cli.main import main; sys.argv = ['labctl']; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **words}, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [offered]


def test_the_table_of_verbs_says_what_the_functions_say() -> None:
    from labctl.cli.app import NOUNS, VERBS, _load

    for place, help in VERBS.values():
        assert _load(place).__doc__.startswith(help), place
    assert all(_load(place).registered_commands for place, _ in NOUNS.values())
