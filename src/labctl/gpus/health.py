"""Whether a GPU is well, from what its driver says. Pure. Not supported means unknown, never ill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.gpus.inventory import Health

_RESET = "run `sudo nvidia-smi --gpu-reset` while nothing uses it"
_RECOVERY = {
    1: f"the driver asks for a reset: {_RESET}",
    2: "the driver asks for a reboot: reboot the machine",
    3: "the driver asks to drain peer-to-peer traffic: end the jobs that use several GPUs, then reset it",
    4: f"the driver asks to drain and reset it: end every job on it, then {_RESET}",
    5: "the driver asks to recover the IMEX domain: restart nvidia-imex on its nodes",
    6: "the driver asks for a bus reset: reboot the machine",
    7: "the driver asks for a reboot of the whole system: reboot the machine",
}
_SLOWED = {  # nvmlClocksEventReason…; idle, power cap and set clocks are no trouble
    0x20: "it is slowed down by heat: look at fans and air flow",
    0x40: "it is slowed down hard by heat: look at fans and air flow",
    0x80: "it is slowed down by the power brake: look at the power supply",
}
_FABRIC_COMPLETED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The driver's raw figures for one GPU; None means that it does not say.

    `remapped_rows` is (corrected, uncorrected, pending, failed), `fabric` is (state, status), `errors` the names of the
    NVML errors met on the way.
    """

    opened: bool = True
    recovery_action: int | None = None
    remapped_rows: tuple[int, int, int, int] | None = None
    retired_pages_pending: bool | None = None
    clocks_event_reasons: int | None = None
    ecc_uncorrected: int | None = None
    fabric: tuple[int, int] | None = None
    errors: frozenset[str] = frozenset()


def judge(readings: Readings) -> Health:
    """The GPU's health. Troubles make it not `ok`; what only slows it down is told and leaves it `ok`.

    >>> judge(Readings()).ok, judge(Readings(recovery_action=2)).ok, judge(Readings(clocks_event_reasons=0x20)).ok
    (True, False, True)
    """
    troubles = [*_access(readings), *_recovery(readings), *_memory(readings), *_fabric(readings)]
    slowed = [text for bit, text in _SLOWED.items() if (readings.clocks_event_reasons or 0) & bit]
    return Health(ok=not troubles, reasons=(*troubles, *slowed))


def _access(readings: Readings) -> Iterator[str]:
    if "GpuIsLost" in readings.errors:
        yield "it fell off the bus: power the machine off and on, and have the GPU looked at if it comes again"
    if "ResetRequired" in readings.errors:
        yield f"it must be reset: {_RESET}"
    if not readings.opened and not readings.errors & {"GpuIsLost", "ResetRequired"}:
        why = ", ".join(sorted(readings.errors))
        yield f"the driver does not open it ({why}): look at `ls -l /dev/nvidia*` and the container's device rules"


def _recovery(readings: Readings) -> Iterator[str]:
    if readings.recovery_action:
        action = readings.recovery_action
        yield _RECOVERY.get(action, f"the driver asks for recovery action {action}: see `nvidia-smi -q`")


def _memory(readings: Readings) -> Iterator[str]:
    _, _, pending, failed = readings.remapped_rows or (0, 0, 0, 0)
    if failed:
        yield "remapping a defective memory row failed: have the GPU replaced"
    if pending:
        yield f"a defective memory row waits to be remapped: {_RESET}"
    if readings.retired_pages_pending:
        yield "a defective memory page waits to be retired: reboot the machine"
    if readings.ecc_uncorrected:
        yield f"{readings.ecc_uncorrected} uncorrected memory errors since the driver was loaded: {_RESET}"


def _fabric(readings: Readings) -> Iterator[str]:
    state, status = readings.fabric or (0, 0)
    if state and state != _FABRIC_COMPLETED:
        yield "its NVSwitch fabric is not ready and CUDA will fail: start nvidia-fabricmanager and wait for it"
    elif state and status:
        yield f"its NVSwitch fabric failed to register (NVML error {status}): restart nvidia-fabricmanager"
