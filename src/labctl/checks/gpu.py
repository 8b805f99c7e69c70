"""`gpu`: the GPUs that a session sees, and what is happening on them."""

from __future__ import annotations

import csv
from typing import Any, Literal

from pydantic import model_validator

from labctl.checks.base import BaseCheck
from labctl.checks.match import Match
from labctl.outcomes import CheckResult
from labctl.target import CannotLook, Target

_FIELDS = ("uuid", "name", "memory.used", "utilization.gpu")
_NOT_FOUND = (126, 127)


class GpuCheck(BaseCheck):
    """The GPUs of a session as nvidia-smi reports them inside it: how many, which, memory and load."""

    kind: Literal["gpu"] = "gpu"
    count: Match | None = None
    """How many GPUs the session sees."""
    name: Match | None = None
    """What the name of each GPU must be."""
    memory_used_mib: Match | None = None
    """MiB in use on the fullest GPU."""
    utilization_percent: Match | None = None
    """Load of the busiest GPU over the driver's last sample, 0 to 100."""

    @model_validator(mode="after")
    def _says_something(self) -> GpuCheck:
        if not self.model_fields_set & {"count", "name", "memory_used_mib", "utilization_percent"}:
            raise ValueError("give count, name, memory_used_mib or utilization_percent")
        return self

    def look(self, target: Target) -> CheckResult:
        gpus = self._gpus(target)
        unmet = [f"count {text}, not {len(gpus)}" for text in (self.count.unmet(len(gpus)) if self.count else [])]
        if self.name is not None:
            unmet += [f"a name {text}, not {gpu['name']}" for gpu in gpus for text in self.name.unmet(gpu["name"])]
        for match, field in ((self.memory_used_mib, "memory.used"), (self.utilization_percent, "utilization.gpu")):
            if match is not None:
                highest = _highest(gpus, field)
                unmet += [f"{field} {text}, not {highest:g}" for text in match.unmet(highest)]
        if unmet:
            return self.failed(f"GPUs: wanted {'; '.join(unmet)}", expected=unmet, actual=gpus)
        return self.passed(f"the session sees {len(gpus)} GPU{'' if len(gpus) == 1 else 's'} as wanted", actual=gpus)

    def _gpus(self, target: Target) -> list[dict[str, Any]]:
        command = ["nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
        try:
            result = target.run(command, timeout_s=self.timeout)
        except FileNotFoundError as error:
            raise CannotLook("nvidia-smi is not in the session's PATH") from error
        if result.timed_out or result.exit_code in _NOT_FOUND:
            raise CannotLook(
                "nvidia-smi did not answer in time" if result.timed_out else "nvidia-smi is not in the session's PATH"
            )
        if result.exit_code != 0:
            raise CannotLook(f"nvidia-smi ended with {result.exit_code}: {(result.stderr or result.stdout)[:300]}")
        rows = [[cell.strip() for cell in row] for row in csv.reader(result.stdout.splitlines()) if row]
        if any(len(row) != len(_FIELDS) for row in rows):
            raise CannotLook(f"nvidia-smi answered in an unknown form: {result.stdout[:300]}")
        return [dict(zip(_FIELDS, row, strict=True)) for row in rows]


def _highest(gpus: list[dict[str, Any]], field: str) -> float:
    """The highest figure; a driver that gives none, as "[N/A]" says, is no figure of 0."""
    figures = [float(gpu[field]) for gpu in gpus if gpu[field].replace(".", "", 1).isdigit()]
    if gpus and not figures:
        raise CannotLook(f"the driver does not report {field}: {gpus[0][field]}")
    return max(figures, default=0.0)
