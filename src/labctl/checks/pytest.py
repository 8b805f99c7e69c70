"""`pytest`: a check script of the lab, run by pytest as a process of its own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from labctl.checks.base import BaseCheck, NonEmpty
from labctl.outcomes import CheckResult
from labctl.process import run_process
from labctl.target import CannotLook, Target

FOLDER = "LABCTL_CHECK"
"""Names, in the script's environment, the private folder through which the check and labctl.checks.fixtures speak."""
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "KUBECONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PASSED_ON_PREFIXES = ("LABCTL_", "DOCKER_", "KUBERNETES_SERVICE_", "XDG_")
_FINISHED = (0, 1)
MAX_SHOWN = 5


class PytestCheck(BaseCheck):
    """A test file of the lab, run by pytest with the fixtures `lab`, `workspace`, `service`, `chat` and `parameters`.

    Checks that each name a `test` of one file, with the same parameters, are one run of it: a fixture of scope "session" is
    made once for all of them, and their timeouts add up to the time of the run.
    """

    computes: ClassVar[bool] = True
    kind: Literal["pytest"] = "pytest"
    file: str = Field(pattern=r"^[^/].*\.py$")
    """The file, relative to the lab's folder, for example checks/test_api.py."""
    lab: NonEmpty = "{{ lab_folder }}"
    """The lab's folder where the check runs, which is not in the session; filled in."""
    test: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w:]*(\[.*\])?$")
    """One test of the file, for example test_restart or TestApi::test_restart; all of them when left out."""
    parameters: dict[str, Any] = {}
    """What the fixture `parameters` gives the script."""

    @model_validator(mode="before")
    @classmethod
    def _lab_counts_as_given(cls, values: Any) -> Any:
        """The plan renders the templates in what was given; the lab's folder is one that no author has to write."""
        return {"lab": "{{ lab_folder }}", **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _stays_in_the_lab(self) -> PytestCheck:
        if ".." in Path(self.file).parts:
            raise ValueError(f"{self.file!r} leads out of the lab's folder")
        return self

    @property
    def shares(self) -> Hashable:
        """Checks that name tests of one file are one run of it: what its fixtures make is made once."""
        if self.test is None or self.retry or self.alone:
            return None
        return self.kind, self.lab, self.file, json.dumps(self.parameters, sort_keys=True)

    def look(self, target: Target) -> CheckResult:
        return self.looks_at([self], target)[0]()

    @classmethod
    def looks_at(cls, checks: Sequence[Self], target: Target) -> list[Callable[[], CheckResult]]:
        file = Path(checks[0].lab) / checks[0].file
        if not file.is_file():
            raise CannotLook(f"the lab has no file {file}")
        with tempfile.TemporaryDirectory(prefix="labctl-check-") as folder:
            tests = cls._run(checks, target, file, Path(folder))
        return [partial(check._judged, [test for test in tests if check._is_for(test["test"])]) for check in checks]

    @classmethod
    def _run(cls, checks: Sequence[Self], target: Target, file: Path, folder: Path) -> list[Mapping[str, str]]:
        """What the plugin recorded of each test: `test`, `outcome`, `message`."""
        one = checks[0]
        known = {"target": asdict(target.spec()), "lab": one.lab, "parameters": one.parameters}
        (folder / "input.json").write_text(json.dumps(known))
        nodes = dict.fromkeys(f"{file}::{check.test}" if check.test else str(file) for check in checks)
        limit_s = sum(check.timeout for check in checks)
        result = run_process(
            [*_pytest(one.lab), *nodes],
            cwd=folder,
            env=_environment(folder),
            timeout_s=limit_s,
            max_output_bytes=1 << 20,
        )
        if result.timed_out:
            raise CannotLook(f"{one.file} was still running after {limit_s:g}s and was ended")
        tail = (result.stdout + result.stderr)[-600:].strip()
        if result.exit_code not in _FINISHED or not (folder / "results.json").is_file():
            raise CannotLook(f"{one.file} could not be run by pytest (exit code {result.exit_code}): {tail}")
        recorded: list[Mapping[str, str]] = json.loads((folder / "results.json").read_text())
        return recorded

    def _is_for(self, test: str) -> bool:
        """Whether a test that was run, for example TestApi::test_restart[2], is one of this check's."""
        return self.test is None or test == self.test or test.startswith((f"{self.test}::", f"{self.test}["))

    def _judged(self, tests: list[Mapping[str, str]]) -> CheckResult:
        failed = [test for test in tests if test["outcome"] == "fail"]
        errors = [test for test in tests if test["outcome"] == "error"]
        if not tests:
            raise CannotLook(f"{self.file} has run no test {self.test or ''}".rstrip())
        if errors and not failed:
            raise CannotLook(_lines([f"{test['test']}: {test['message']}" for test in errors]))
        if not failed:
            return self.passed(f"{len(tests)} test{'' if len(tests) == 1 else 's'} passed")
        seen = {"failed": len(failed), "of": len(tests)} if len(tests) > 1 else None
        return self.failed(_lines([test["message"] for test in failed]), actual=seen)


def _pytest(lab: str) -> list[str]:
    """Isolated (-I): neither PYTHON* variables nor the current folder bring in modules. No settings file, no cache."""
    isolated = [sys.executable, "-I", "-B", "-m", "pytest", "-p", "labctl.checks.fixtures", "-p", "no:cacheprovider"]
    places = ["-c", os.devnull, "--rootdir", lab, "--confcutdir", lab, "--import-mode=importlib"]
    # Plain asserts: what pytest finds out about the values is for authors, and may hold what a learner is to find.
    return [*isolated, *places, "--assert=plain", "-q", "--tb=short", "--color=no"]


def _lines(messages: list[str]) -> str:
    """One message whole; of several different ones the first line each, and how many more there are."""
    different = list(dict.fromkeys(messages))
    if len(different) == 1:
        return different[0]
    left = [f"… and {len(different) - MAX_SHOWN} more"] if len(different) > MAX_SHOWN else []
    return "\n".join([*(message.partition("\n")[0] for message in different[:MAX_SHOWN]), *left])


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", FOLDER: str(folder)}
