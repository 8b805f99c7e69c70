"""What Prometheus is told of GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from labctl.gpus.inventory import Gpu, Inventory, MigInstance, Sensors
from labctl.sessions import metrics
from labctl.sessions.inventory import join
from labctl.store.records import Held

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GIB = 1024
FELT = Sensors(
    utilization_percent=97, power_w=688.5, energy_j=7200.0, temperature_c=41, pcie_replays=2, ecc_corrected=3
)
Sample = tuple[str, dict[str, str], float]


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def a_gpu(**values: Any) -> Gpu:
    known = {"memory_total_mib": 80 * GIB, "memory_free_mib": 60 * GIB, "pci": "0000:1b:00.0", "sensors": FELT}
    return Gpu(**{"index": 0, "uuid": "GPU-0", "name": "NVIDIA H100", **known, **values})


def held(learner: str = "alice", **values: Any) -> Held:
    known = {"sharing": "timeslice", "memory_mib": 16 * GIB, "total_mib": 80 * GIB, "since": NOON}
    session = f"tune--{learner}"
    return Held(
        **{"session": session, "lab": "tune", "learner": learner, "uuid": "GPU-0", "name": "H100", **known, **values}
    )


def samples(*gpus: Gpu, held: list[Held] | None = None, ledger: list[Held] | None = None) -> list[Sample]:
    """What a scraper reads of it, as `parse` gives it."""
    view = join(Inventory(source="test", gpus=gpus), held or [], [], [], NOON + timedelta(minutes=1))
    registry = CollectorRegistry()
    registry.register(_Fixed(metrics.families(view, ledger or held or [], "host")))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def values(found: list[Sample], name: str) -> list[float]:
    return [value for each, _, value in found if each == name]


def test_figures_bear_dcgms_names_units_and_labels() -> None:
    found = samples(a_gpu())
    dcgm = {name: value for name, _, value in found if name.startswith("DCGM_FI_DEV_")}
    assert dcgm == {
        "DCGM_FI_DEV_GPU_UTIL": 97,
        "DCGM_FI_DEV_POWER_USAGE": 688.5,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 7_200_000,
        "DCGM_FI_DEV_GPU_TEMP": 41,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 2,
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 3,
        "DCGM_FI_DEV_FB_USED": 20 * GIB,
        "DCGM_FI_DEV_FB_FREE": 60 * GIB,
        "DCGM_FI_DEV_FB_TOTAL": 80 * GIB,
    }
    (labels,) = (labels for name, labels, _ in found if name == "DCGM_FI_DEV_GPU_UTIL")
    assert labels == {
        "gpu": "0",
        "UUID": "GPU-0",
        "pci_bus_id": "00000000:1B:00.0",
        "device": "nvidia0",
        "modelName": "NVIDIA H100",
        "Hostname": "host",
    }


def test_a_name_is_one_line_of_printable_characters() -> None:
    found = samples(a_gpu(name="H100\n\x1b[31m\x00 80GB"))
    (labels,) = (labels for name, labels, _ in found if name == "DCGM_FI_DEV_GPU_UTIL")
    assert labels["modelName"] == "H100\ufffd\ufffd[31m\ufffd 80GB"


def test_what_the_driver_does_not_tell_is_absent_and_never_zero() -> None:
    found = samples(a_gpu(memory_free_mib=None, sensors=Sensors()))
    assert [name for name, *_ in found if name.startswith("DCGM")] == ["DCGM_FI_DEV_FB_TOTAL"]


def test_a_gpu_without_memory_of_its_own_has_no_framebuffer() -> None:
    assert not [name for name, *_ in samples(a_gpu(integrated=True)) if "_FB_" in name]


def test_each_slice_is_a_series_in_the_place_of_its_gpu() -> None:
    slices = tuple(
        MigInstance(uuid=f"MIG-{number}", profile="1g.10gb", memory_total_mib=10 * GIB, memory_free_mib=9 * GIB)
        for number in range(2)
    )
    found = samples(a_gpu(mig_enabled=True, mig=slices))
    labels = [labels for name, labels, _ in found if name == "DCGM_FI_DEV_FB_FREE"]
    assert [(each["GPU_I_PROFILE"], each["MIG_UUID"], each["UUID"]) for each in labels] == [
        ("1g.10gb", "MIG-0", "GPU-0"),
        ("1g.10gb", "MIG-1", "GPU-0"),
    ]


def test_sessions_that_share_a_gpu_are_told_apart() -> None:
    found = samples(a_gpu(), held=[held("alice"), held("bob", memory_mib=8 * GIB, warned_at=NOON)])
    shares = {labels["learner"]: value for name, labels, value in found if name == "labctl_gpu_session_memory_bytes"}
    assert shares == {"alice": 16 * 2**30, "bob": 8 * 2**30}
    (labels,) = (
        labels for name, labels, _ in found if name == "labctl_gpu_session_memory_bytes" and labels["learner"] == "bob"
    )
    assert (labels["session"], labels["lab"], labels["sharing"], labels["purpose"]) == (
        *("tune--bob", "tune"),
        *("timeslice", "session"),
    )
    assert values(found, "labctl_gpu_session_idle") == [0, 1]
    assert values(found, "labctl_gpu_allocations") == [2]


def test_time_that_was_held_counts_what_has_ended_and_what_has_not() -> None:
    ended = held(since=NOON - timedelta(hours=1), released_at=NOON - timedelta(minutes=30), busy_s=600.0)
    found = samples(a_gpu(), held=[held(busy_s=30.0)], ledger=[ended, held(busy_s=30.0)])
    assert values(found, "labctl_gpu_held_seconds_total") == [30 * 60 + 60]
    assert values(found, "labctl_gpu_share_seconds_total") == [(30 * 60 + 60) * 16 / 80]
    assert values(found, "labctl_gpu_busy_seconds_total") == [630]


def test_an_inventory_that_was_not_taken_yet_has_no_age() -> None:
    assert [metric.name for metric in metrics.inventory(is_up=False, age_s=None)] == ["labctl_gpu_inventory_up"]
