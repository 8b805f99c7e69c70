"""What programs are told of their GPUs and of their share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.gpus.inventory import Allocation, HeldGpu, SharingMode
from labctl.labs.lab import load, load_folder
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes import gpus

LAB = """\
title: With and without a GPU
stage: 1
minutes: 5
profiles: {cpu: {}, gpu: {gpu: {count: 2}}}
workspace: {environment: {SHARE: "{{ gpus }} {{ gpu_fraction }} {{ gpu_memory_mib }}"}}
services:
  prepare: {command: [a], gpu: false, restart: on-failure}
  model:
    command: [serve, "{{ 0.5 * gpu_fraction }}"]
    depends_on: {prepare: {condition: service_completed_successfully}}
  watch: {command: [a], gpu: false, depends_on: {model: {}, prepare: {condition: service_started}}}
criteria:
  - {id: one, text: there, points: 1, hint: look, checks: [{file: {path: a}}]}
"""


def held(*memory_mib: int | None, sharing: SharingMode = "timeslice", total_mib: int = 9000) -> Allocation:
    return Allocation(
        gpus=tuple(
            HeldGpu(uuid=f"GPU-{n}", name="", memory_mib=memory, sharing=sharing, total_mib=total_mib)
            for n, memory in enumerate(memory_mib)
        )
    )


@pytest.fixture
def planned(write_lab: Callable[..., Path]) -> Callable[..., Plan]:
    lab = load_folder(write_lab(text=LAB))

    def make(allocation: Allocation | None) -> Plan:
        return plan(lab, learner="ada", profile="gpu", layout=declared_layout(lab), allocation=allocation)

    return make


@pytest.mark.parametrize(
    ("allocation", "told"),
    [
        (None, "0 1.0 0"),
        (held(3000, 2000), "2 0.2222 2000"),
        (held(3000, sharing="exclusive"), "1 1.0 3000"),
        (held(None), "1 1.0 0"),
    ],
)
def test_templates_know_the_share_rounded_down(
    planned: Callable[..., Plan], allocation: Allocation | None, told: str
) -> None:
    assert planned(allocation).workspace.environment["SHARE"] == told


@pytest.mark.parametrize(("profile", "share"), [("cpu", "0.9"), ("gpu", "0.0625")])
def test_vllm_takes_its_part_of_the_share(profile: str, share: str) -> None:
    lab = load("stage2-finetune", ())
    quarter = held(6000, total_mib=24000) if profile == "gpu" else None
    made = plan(lab, learner="ada", profile=profile, layout=declared_layout(lab), allocation=quarter)  # type: ignore[arg-type]
    command = made.services[0].command
    assert command[command.index("--gpu-memory-utilization") + 1] == share


def test_without_a_gpu_nothing_is_said_and_on_the_host_none_is_visible() -> None:
    assert gpus.environment(None) == gpus.environment(held()) == {}
    assert gpus.visible(None) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ""}


def test_a_gpu_of_ones_own_has_no_bounds() -> None:
    assert gpus.visible(held(9000, sharing="exclusive")) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "GPU-0",
        "LABCTL_GPU_FRACTION": "1.0",
        "LABCTL_GPU_MEMORY_MIB": "9000",
    }


def test_memory_that_is_unknown_is_not_told_as_zero() -> None:
    assert "LABCTL_GPU_MEMORY_MIB" not in gpus.environment(held(9000, None))


def test_in_turns_frameworks_are_asked_to_stay_within_the_share() -> None:
    told = gpus.environment(held(3000))
    assert told["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.3333"
    assert told["XLA_PYTHON_CLIENT_MEM_FRACTION"] == told["LABCTL_GPU_FRACTION"] == "0.3333"
    assert not [name for name in told if "MPS" in name]


def test_under_mps_the_driver_bounds_each_gpu_as_the_program_counts_them() -> None:
    told = gpus.environment(held(3000, 1000, sharing="mps"))
    assert told["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=3000M,1=1000M"
    assert told["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "11"
    assert told["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.1111"


def test_before_others_are_told_of_nothing_is_left_of_the_first() -> None:
    assert gpus.without({**gpus.visible(held(1, sharing="mps")), "NVIDIA_VISIBLE_DEVICES": "x", "A": "b"}) == {"A": "b"}


def test_a_plan_without_its_gpus_has_what_needs_none_and_jobs_stay_jobs(planned: Callable[..., Plan]) -> None:
    before = planned(held(1000))
    after = before.without_gpus()
    assert after.allocation is None
    assert [service.name for service in after.services] == ["prepare", "watch"]
    assert list(after.services[1].depends_on) == ["prepare"]
    assert after.services[0].is_awaited(after.services)
    assert [each.digest for each in after.services] == [before.services[n].digest for n in (0, 2)]
    assert after.without_gpus() == after
    same = {"gpu": before.gpu, "allocation": before.allocation, "services": before.services}
    assert after.model_copy(update=same) == before
