"""A GPU's health as the fake library's figures make it."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.gpus import nvml
from labctl.gpus.inventory import Health
from tests.nvml.conftest import Play
from tests.nvml.library import gpu


def _health(library: str) -> Health:
    (found,) = nvml.inventory(library).gpus
    return found.health


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"recovery_action": 2}, "reboot the machine"),
        ({"recovery_action": 99}, "recovery action 99"),
        ({"remapped_rows": [0, 0, 1, 0]}, "waits to be remapped"),
        ({"remapped_rows": [0, 0, 0, 1]}, "replaced"),
        ({"retired_pages_pending": 1}, "waits to be retired"),
        ({"ecc_uncorrected": 3, "recovery_action": None}, "3 uncorrected memory errors"),
        ({"ecc_uncorrected": 1, "recovery_action": None}, "1 uncorrected memory error "),
        ({"fabric_state": 2}, "nvidia-fabricmanager"),
        ({"fabric_status": 999}, "NVML error 999"),
        ({"compute_mode": 2}, "--compute-mode=DEFAULT"),
        ({"errors": {"nvmlDeviceGetMemoryInfo_v2": 15}}, "fell off the bus"),
        ({"errors": {"nvmlDeviceGetMemoryInfo_v2": 16}}, "must be reset"),
        ({"errors": {"nvmlDeviceGetHandleByIndex_v2": 8}}, "external power"),
        ({"errors": {"nvmlDeviceGetHandleByIndex_v2": 999}}, "does not open it (Unknown)"),
    ],
)
def test_trouble_that_the_driver_reports_makes_a_gpu_ill(play: Play, figures: dict[str, Any], words: str) -> None:
    health = _health(play(gpu(**figures)))
    assert not health.ok
    assert words in " ".join(health.reasons)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"clocks_event_reasons": 0x41}, "hard by heat"),
        ({"clocks_event_reasons": 0x88}, "power brake"),
        ({"clocks_event_reasons": 0x08}, "heat or power"),
        ({"compute_mode": 3}, "one process in at a time"),
        ({"mig_mode_pending": 1}, "MIG is switched on after a reset"),
        ({"mig_mode": 1, "mig_mode_pending": 0}, "MIG is switched off after a reset"),
        ({"processes": None}, "does not tell who uses it"),
        ({"ecc_uncorrected": 3}, "asks for no recovery"),
        ({"errors": {"nvmlDeviceGetPciInfo_v3": 14}}, "infoROM"),
    ],
)
def test_what_only_slows_or_limits_a_gpu_is_told_and_leaves_it_well(
    play: Play, figures: dict[str, Any], words: str
) -> None:
    health = _health(play(gpu(**figures)))
    assert health.ok
    assert words in health.reasons[0]


@pytest.mark.parametrize("reasons", [0, 0x1, 0x2, 0x4, 0x10, 0x100])
def test_idleness_set_clocks_and_the_power_cap_are_no_trouble(play: Play, reasons: int) -> None:
    assert _health(play(gpu(clocks_event_reasons=reasons))) == Health()


def test_the_recovery_that_the_driver_asks_for_comes_first(play: Play) -> None:
    health = _health(play(gpu(recovery_action=1, ecc_uncorrected=3, remapped_rows=[0, 1, 1, 0], fabric_state=2)))
    assert health.reasons[0].startswith("the driver asks for a reset")
    assert len(health.reasons) == 4
