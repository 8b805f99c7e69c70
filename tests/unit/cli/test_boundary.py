"""Surroundings in which a command line is run all the same: broken streams, odd names, missing folders."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteLab = Callable[..., Path]
ODD = b"/tmp/caf\xe9"


def labctl(*args: str | bytes, prelude: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`labctl ARGS` after the shell commands `prelude`."""
    command = ["sh", "-c", f'{prelude}\nexec "$@"', "sh", sys.executable, "-m", "labctl", *args]
    values = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, check=False, env=values, timeout=60)


def error_of(result: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    return error


def said(result: subprocess.CompletedProcess[bytes]) -> str:
    text = result.stderr.decode()
    assert "Traceback" not in text, text
    return text


def test_a_home_of_a_user_that_is_not_there_is_a_usage_error(home: Path) -> None:
    result = labctl("list", LABCTL_HOME="~nosuchuser/x")
    assert (result.returncode, "~nosuchuser/x" in said(result)) == (2, True)


def test_a_workspace_whose_name_is_no_text_is_a_usage_error(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    result = labctl("up", "small-lab", "--workspace", ODD)
    assert (result.returncode, "is not UTF-8" in said(result)) == (2, True)
    assert not (home / "home" / "sessions").exists()


def test_a_strict_encoding_does_not_break_an_error(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    result = labctl("status", b"\xff", "--json", PYTHONIOENCODING="utf-8:strict")
    assert (result.returncode, error_of(result)["message"]) == (2, r"'\udcff' is not UTF-8")
    assert said(result) == ""
    assert labctl("exec", b"\xff", "true", PYTHONIOENCODING="utf-8:strict").returncode == 5


def test_control_characters_in_an_error_are_escaped_in_json(home: Path) -> None:
    result = labctl("up", "./a\u009b\u202eb", "--json")
    assert result.returncode == 5
    assert b"\\u009b\\u202e" in result.stdout


def test_a_terminal_that_knows_ascii_only_gets_escapes(home: Path, write_lab: WriteLab) -> None:
    write_lab()
    result = labctl("list", PYTHONIOENCODING="ascii")
    assert (result.returncode, "small-lab" in result.stdout.decode("ascii")) == (0, True)
    assert "\\u2192 labctl show" in said(result)


@pytest.mark.parametrize("args", [("list", "--json"), ("list",), ("up", "nothing-such", "--json")])
def test_an_answer_that_cannot_be_written_is_an_error_on_stderr(home: Path, args: tuple[str, ...]) -> None:
    result = labctl(*args, prelude="exec >/dev/full")
    assert result.returncode == (5 if "up" in args else 4)
    assert said(result).splitlines()[-2].startswith("error: ")


@pytest.mark.parametrize("prelude", ["exec >&-", "exec 2>&-", "exec >&- 2>&-", "exec 2>/dev/full"])
def test_streams_that_are_closed_or_full_do_not_break_a_command(home: Path, write_lab: WriteLab, prelude: str) -> None:
    write_lab()
    assert labctl("show", "small-lab", prelude=prelude, LABCTL_SHOW_JSON="1").returncode == 0
    assert labctl("show", "nothing-such", prelude=prelude).returncode == 5


def test_a_folder_that_is_gone_is_no_bug(home: Path) -> None:
    gone = f"mkdir {home}/gone && cd {home}/gone && rmdir {home}/gone"
    for args in (("status", "--quiet"), ("list", "--quiet"), ("verify",), ("verify", "-o", "here.json")):
        result = labctl(*args, prelude=gone)
        assert result.returncode in (0, 2, 5), said(result)
        said(result)


def test_a_log_of_a_bug_is_written_whatever_was_typed(home: Path, tmp_path: Path) -> None:
    (home / "tmp").mkdir()
    program = (
        "import sys; from labctl.cli import main; main._run = lambda: 1 / 0;"
        "sys.argv = ['labctl', 'exec', 'caf\\udce9']; sys.exit(main.main())"
    )
    for place, folder in ((str(home / "home"), home / "home"), ("~nosuchuser/x", home / "tmp")):
        values = {**os.environ, "LABCTL_HOME": place, "TMPDIR": str(home / "tmp"), "PYTHONIOENCODING": "ascii:strict"}
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=values)
        assert result.returncode == 70
        assert "ZeroDivisionError" in said(result)
        logs = list(folder.glob("bug-*.log"))
        assert len(logs) == 1
        assert "caf\\udce9" in logs[0].read_text(encoding="utf-8")


def test_a_session_that_cannot_be_asked_is_trouble_with_the_engine(home: Path) -> None:
    program = (
        "import sys; from labctl.cli import main; from labctl.target import CannotLook\n"
        "def silent(): raise CannotLook('the workspace is gone')\n"
        "main._run = silent; sys.argv = ['labctl', 'status', '--json']; sys.exit(main.main())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (result.returncode, error_of(result)["message"]) == (6, "the workspace is gone")


@pytest.mark.parametrize("columns", ["abc", "0", "-3", "9" * 5000])
def test_columns_that_are_no_number_do_not_break_the_instructions(
    home: Path, write_lab: WriteLab, columns: str
) -> None:
    write_lab(**{"README.md": "# Hello\n\n" + "word " * 60})
    result = labctl("show", "small-lab", COLUMNS=columns)
    assert result.returncode == 0, said(result)
    assert max(map(len, re.findall(r"word.*", result.stdout.decode()))) <= 100


def test_an_environment_name_asks_for_json_in_errors_too(home: Path, write_lab: WriteLab) -> None:
    assert error_of(labctl("status", "nothing-such", LABCTL_STATUS_JSON="1"))["code"] == 5
    assert error_of(labctl("lab", "solve", "nothing-such", LABCTL_LAB_SOLVE_JSON="true"))["code"] == 5
    for args in (("--format", "json"), ("--format=json",), ("-f", "json"), ("-fjson",)):
        assert error_of(labctl("verify", *args))["code"] == 5
    assert error_of(labctl("verify", LABCTL_VERIFY_FORMAT="json"))["code"] == 5
    assert labctl("exec", "nothing-such", "cat", "--json").stdout == b""


def test_every_option_has_the_environment_name_of_its_flag() -> None:
    from labctl.cli.app import NOUNS, VERBS, _noun, _settings, _verb

    commands = {name: _verb(name) for name in VERBS}
    commands |= {f"{noun}_{name}": command for noun in NOUNS for name, command in _noun(noun).commands.items()}
    assert "lab_new" in commands
    for name, command in commands.items():
        prefix = _settings(name)["auto_envvar_prefix"].replace("-", "_")
        for option in command.params:
            flag = next((word for word in option.opts if word.startswith("--")), None)
            if flag is not None and option.name != "help":
                wanted = f"{prefix}_{flag.removeprefix('--').replace('-', '_').upper()}"
                assert wanted in (option.envvar, f"{prefix}_{option.name.upper()}")


def test_environment_names_of_renamed_flags_are_obeyed(home: Path) -> None:
    (home / "other").mkdir()
    made = labctl("lab", "new", "stage1-x", "--json", LABCTL_LAB_NEW_IN=str(home / "other"))
    assert json.loads(made.stdout) == {"lab": "stage1-x", "path": str(home / "other" / "stage1-x")}


def test_config_is_read_once(home: Path) -> None:
    config = home / "config" / "labctl" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('LABCTL_PROFILE = "cpu"\n')
    program = (
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from labctl import settings\nsettings.load()\nprint(sum(name.endswith('config.toml') for name in opened))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"1\n"
