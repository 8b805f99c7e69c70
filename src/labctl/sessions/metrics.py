"""The metrics of `gpu export`. Pure. What the driver does not tell is left out, never 0.

DCGM's names and units are those of dcgm-exporter's etc/default-counters.csv, its labels those of its rendermetrics package.
Its counters are untyped here, because the Prometheus library would add `_total` to their names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from prometheus_client.core import Metric

from labctl.gpus.inventory import Gpu
from labctl.sessions.gpus import gpu
from labctl.sessions.inventory import Part, Row, Use, View
from labctl.store.records import Held

Kind = Literal["gauge", "counter", "unknown"]
Labels = dict[str, str]
Value = float | None
_MIB = 2**20


class _Field(NamedTuple):
    name: str
    help: str
    value: Callable[[Gpu], Value]
    kind: Kind = "gauge"


_FIELDS = (
    _Field("SM_CLOCK", "SM clock frequency (in MHz).", lambda gpu: gpu.sensors.sm_clock_mhz),
    _Field("MEM_CLOCK", "Memory clock frequency (in MHz).", lambda gpu: gpu.sensors.memory_clock_mhz),
    _Field("GPU_TEMP", "GPU temperature (in C).", lambda gpu: gpu.sensors.temperature_c),
    _Field("POWER_USAGE", "Power draw (in W).", lambda gpu: gpu.sensors.power_w),
    _Field(
        "TOTAL_ENERGY_CONSUMPTION",
        "Total energy consumption since the driver was loaded (in mJ).",
        lambda gpu: None if gpu.sensors.energy_j is None else gpu.sensors.energy_j * 1000,
        "unknown",
    ),
    _Field("PCIE_REPLAY_COUNTER", "Total number of PCIe retries.", lambda gpu: gpu.sensors.pcie_replays, "unknown"),
    _Field("GPU_UTIL", "GPU utilization (in %).", lambda gpu: gpu.sensors.utilization_percent),
    _Field("MEM_COPY_UTIL", "Memory utilization (in %).", lambda gpu: gpu.sensors.memory_utilization_percent),
    _Field("XID_ERRORS", "Value of the last XID error encountered.", lambda gpu: gpu.sensors.xid),
    _Field(
        "ECC_SBE_VOL_TOTAL",
        "Total number of corrected volatile ECC errors.",
        lambda gpu: gpu.sensors.ecc_corrected,
        "unknown",
    ),
    _Field(
        "ECC_DBE_VOL_TOTAL",
        "Total number of uncorrected volatile ECC errors.",
        lambda gpu: gpu.sensors.ecc_uncorrected,
        "unknown",
    ),
)


def inventory(*, is_up: bool, age_s: float | None) -> Iterator[Metric]:
    """How far the rest can be trusted. `age_s` is None before the first look has ended."""
    up = "Whether the last look at the GPUs found any (1) or failed (0)."
    yield from _metric("labctl_gpu_inventory_up", up, [({}, float(is_up))])
    yield from _metric("labctl_gpu_inventory_age_seconds", "Time since the last look at the GPUs ended.", [({}, age_s)])


def families(view: View, ledger: Sequence[Held], hostname: str) -> Iterator[Metric]:
    """Everything else. `ledger` is every allocation there has been."""
    yield from _devices(view, hostname)
    yield from _memory(view, hostname)
    yield from _state(view, hostname)
    yield from _sessions(view, hostname)
    yield from _metric("labctl_gpu_waiting", "Sessions that wait in line for a GPU.", [({}, len(view.waiting))])
    yield from _totals(view, ledger)


def _metric(name: str, help: str, samples: Iterable[tuple[Labels, Value]], kind: Kind = "gauge") -> Iterator[Metric]:
    """The family, unless there is nothing in it. An empty label is as good as none."""
    metric = Metric(name, help, kind)
    for labels, value in samples:
        if value is not None:
            known = {label: text for label, text in labels.items() if text}
            metric.add_sample(f"{name}_total" if kind == "counter" else name, known, value)
    if metric.samples:
        yield metric


def _devices(view: View, hostname: str) -> Iterator[Metric]:
    for field in _FIELDS:
        samples = [(_dcgm(row.gpu, hostname), field.value(row.gpu)) for row in view.rows]
        yield from _metric(f"DCGM_FI_DEV_{field.name}", field.help, samples, field.kind)


def _memory(view: View, hostname: str) -> Iterator[Metric]:
    """In MiB, as DCGM has it: of a GPU that is split, its slices. One without memory of its own has no framebuffer."""
    used, free, total = [], [], []
    for row in view.rows:
        for part in () if row.gpu.integrated else row.slices or (row.whole,):
            labels, device = _dcgm(row.gpu, hostname) | _slice(part), part.mig or row.gpu
            of, left = device.memory_total_mib, device.memory_free_mib
            used.append((labels, None if of is None or left is None else of - left))
            free.append((labels, left))
            total.append((labels, of))
    yield from _metric("DCGM_FI_DEV_FB_USED", "Framebuffer memory used, the driver's share included (in MiB).", used)
    yield from _metric("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", free)
    yield from _metric("DCGM_FI_DEV_FB_TOTAL", "Framebuffer memory altogether (in MiB).", total)


def _state(view: View, hostname: str) -> Iterator[Metric]:
    def each(value: Callable[[Row], float]) -> list[tuple[Labels, Value]]:
        return [(_gpu(row.gpu, hostname), value(row)) for row in view.rows]

    healthy, usable = each(lambda row: float(row.gpu.health.ok)), each(lambda row: float(row.why_not is None))
    yield from _metric("labctl_gpu_healthy", "Whether the driver reports no trouble with it.", healthy)
    yield from _metric("labctl_gpu_usable", "Whether a session can be given some of it now.", usable)
    held = each(lambda row: len(row.uses))
    yield from _metric("labctl_gpu_allocations", "Sessions and jobs that hold some of it.", held)


def _sessions(view: View, hostname: str) -> Iterator[Metric]:
    def each(value: Callable[[Use], Value]) -> list[tuple[Labels, Value]]:
        return [
            (_gpu(row.gpu, hostname) | _slice(part) | _use(use), value(use))
            for row in view.rows
            for part in row.parts
            for use in part.uses
        ]

    shares, used = each(lambda use: _bytes(use.held.memory_mib)), each(lambda use: _bytes(use.used_mib))
    yield from _metric("labctl_gpu_session_memory_bytes", "GPU memory that a session holds.", shares)
    yield from _metric("labctl_gpu_session_memory_used_bytes", "GPU memory that a session's processes take.", used)
    idle = each(lambda use: float(use.held.warned_at is not None))
    yield from _metric("labctl_gpu_session_idle", "Whether it was warned that its idle GPU goes back.", idle)


def _totals(view: View, ledger: Sequence[Held]) -> Iterator[Metric]:
    held_s: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    share_s: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    busy_s: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for each in ledger:
        whose = (each.session, each.learner, each.lab)
        lasted_s = max(0.0, ((each.released_at or view.at) - each.since).total_seconds())
        held_s[whose] += lasted_s
        share_s[whose] += lasted_s * gpu(each).fraction
        busy_s[whose] += each.busy_s
    for name, words, seconds in (
        ("labctl_gpu_held_seconds", "Time for which a session has held GPUs, each counted, ended ones too.", held_s),
        ("labctl_gpu_share_seconds", "The same, a GPU that is shared counted by the share of its memory.", share_s),
        ("labctl_gpu_busy_seconds", "Time for which a session's GPUs were at work, as far as was seen.", busy_s),
    ):
        samples = [
            ({"session": session, "learner": learner, "lab": lab}, value)
            for (session, learner, lab), value in sorted(seconds.items())
        ]
        yield from _metric(name, words, samples, "counter")


def _dcgm(gpu: Gpu, hostname: str) -> Labels:
    """The labels that dcgm-exporter gives a GPU; it writes the bus id in capitals, with eight digits for the domain."""
    domain, _, rest = (gpu.pci or "").partition(":")
    bus = f"{domain:0>8}:{rest}".upper() if rest else ""
    return _gpu(gpu, hostname) | {"pci_bus_id": bus, "device": f"nvidia{gpu.index}", "modelName": _printable(gpu.name)}


def _gpu(gpu: Gpu, hostname: str) -> Labels:
    return {"gpu": str(gpu.index), "UUID": gpu.uuid, "Hostname": hostname}


def _printable(text: str) -> str:
    """A driver's words, of which a line of the exposition can be made: without control characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _slice(part: Part) -> Labels:
    """A slice bears its GPU's labels, as DCGM has it, and its own UUID: two of one profile are two series."""
    return {"GPU_I_PROFILE": _printable(part.mig.profile or ""), "MIG_UUID": part.uuid} if part.mig else {}


def _use(use: Use) -> Labels:
    held = use.held
    return {
        "session": held.session,
        "learner": held.learner,
        "lab": held.lab,
        "sharing": held.sharing,
        "purpose": held.purpose,
    }


def _bytes(mib: int | None) -> Value:
    return None if mib is None else mib * _MIB
