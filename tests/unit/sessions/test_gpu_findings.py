"""What `doctor` says of GPUs."""

from __future__ import annotations

from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory, MigInstance
from labctl.sessions.finding import Finding
from labctl.sessions.gpu_findings import findings


def of(*gpus: Gpu, mps: bool = False, problem: str | None = None) -> list[Finding]:
    return list(findings(Inventory(source="test", gpus=gpus, mps=mps, problem=problem, driver="570.1", cuda="12.8")))


def a_gpu(index: int = 0, **values: object) -> Gpu:
    return Gpu(index=index, uuid=f"GPU-{index}", name="H100", **values)  # type: ignore[arg-type]


def test_a_machine_without_gpus_is_no_failure() -> None:
    (found,) = of(problem="No NVIDIA driver is visible here.")
    assert (found.ok, found.detail) == (None, "No NVIDIA driver is visible here.")
    assert "--profile cpu" in found.remedy


def test_alike_gpus_are_counted_with_driver_and_cuda() -> None:
    assert of(a_gpu(0), a_gpu(1))[0].detail == "2 × H100, driver 570.1, CUDA 12.8"


def test_an_ill_gpu_fails_and_one_with_a_warning_does_not() -> None:
    ill, warned = Health(ok=False, reasons=("reboot",)), Health(reasons=("it is slowed down by heat",))
    found = {each.name: each for each in of(a_gpu(0, health=ill), a_gpu(1, health=warned), a_gpu(2))}
    assert (found["GPU"].ok, found["GPU 0"].ok, found["GPU 1"].ok) == (True, False, None)
    assert (found["GPU 0"].remedy, found["GPU 1"].remedy) == ("reboot", "it is slowed down by heat")
    assert "GPU 2" not in found


def test_slices_are_counted_and_a_gpu_split_into_none_says_how_to_make_one() -> None:
    slices = tuple(MigInstance(uuid=f"MIG-{number}", profile="1g.10gb") for number in range(2))
    split, empty = (
        each for each in of(a_gpu(0, mig_enabled=True, mig=slices), a_gpu(1, mig_enabled=True)) if each.name == "MIG"
    )
    assert (split.ok, split.detail) == (True, "GPU 0: 2 × 1g.10gb")
    assert (empty.ok, "nvidia-smi mig" in empty.remedy) == (None, True)


def test_mps_is_good_to_have_only() -> None:
    assert [each.ok for running in (True, False) for each in of(a_gpu(), mps=running) if each.name == "MPS"] == [
        True,
        None,
    ]


def test_hidden_processes_are_named() -> None:
    assert "cannot be told here" in of(a_gpu(processes=(GpuProcess(pid=1),)))[0].detail
