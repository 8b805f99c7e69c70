"""Whether a GPU is well, from what its driver says. Pure. Not supported means unknown, never ill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.gpus import kernel_log
from labctl.gpus.inventory import Health
from labctl.gpus.problems import RESET, of_gpu

_RECOVERY = {  # nvmlDeviceGpuRecoveryAction_t; 0 is none
    1: f"the driver asks for a reset: {RESET}",
    2: "the driver asks for a reboot: reboot the machine",
    3: "the driver asks to drain peer-to-peer traffic: end the jobs that use several GPUs, then reset it",
    4: f"the driver asks to drain and reset it: end every job on it, then {RESET}",
    5: "the driver asks to recover the IMEX domain: restart nvidia-imex on its nodes",
    6: "the driver asks for a bus reset: reboot the machine",
    7: "the driver asks for a reboot of the whole system: reboot the machine",
}
_SLOWED = {  # nvmlClocksEventReason…; idle, power cap and set clocks are no trouble
    0x20: "it is slowed down by heat: look at fans and air flow",
    0x40: "it is slowed down hard by heat: look at fans and air flow",
    0x80: "it is slowed down by the power brake: look at the power supply",
}
_SLOWED_BY_HARDWARE = 0x08
_PROHIBITED, _EXCLUSIVE_PROCESS = 2, 3  # nvmlComputeMode_t
_FABRIC_COMPLETED = 3
_FATAL = ("GpuIsLost", "ResetRequired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The driver's raw figures for one GPU; None means that it does not say.

    `remapped_rows` is (corrected, uncorrected, pending, failed), `fabric` is (state, status), `mig_mode` is (current,
    pending), `errors` the names of the NVML errors met on the way, `xids` what `kernel_log.xids` says of it.
    """

    opened: bool = True
    recovery_action: int | None = None
    remapped_rows: tuple[int, ...] | None = None
    retired_pages_pending: int | None = None
    clocks_event_reasons: int | None = None
    ecc_uncorrected: int | None = None
    fabric: tuple[int, ...] | None = None
    compute_mode: int | None = None
    mig_mode: tuple[int, ...] | None = None
    tells_processes: bool = True
    errors: frozenset[str] = frozenset()
    xids: tuple[int, ...] = ()


def judge(readings: Readings) -> Health:
    """The GPU's health. Troubles make it not `ok`; what only slows or limits it is told and leaves it `ok`.

    Errors of the past are troubles only while the driver does not say that it needs no recovery.

    >>> judge(Readings()).ok, judge(Readings(recovery_action=2)).ok, judge(Readings(clocks_event_reasons=0x20)).ok
    (True, False, True)
    >>> judge(Readings(xids=(48,))).ok, judge(Readings(xids=(48,), recovery_action=0)).ok
    (False, True)
    """
    troubles = [
        *_recovery(readings),
        *_access(readings),
        *_memory(readings),
        *_fabric(readings),
        *_prohibited(readings),
    ]
    warnings = [*_advice(readings), *_slowed(readings), *_modes(readings), *_silence(readings)]
    past = [*_ecc(readings), *_xids(readings)]
    if readings.recovery_action == 0:
        warnings = [*(f"{what}; the driver asks for no recovery" for what, _ in past), *warnings]
    else:
        troubles += [f"{what}: {remedy}" for what, remedy in past]
    return Health(ok=not troubles, reasons=(*troubles, *warnings))


def _recovery(readings: Readings) -> Iterator[str]:
    if readings.recovery_action:
        action = readings.recovery_action
        yield _RECOVERY.get(action, f"the driver asks for recovery action {action}: see `nvidia-smi -q`")


def _access(readings: Readings) -> Iterator[str]:
    fatal = [error for error in _FATAL if error in readings.errors]
    yield from (of_gpu(error) for error in fatal)
    if not readings.opened and not fatal:
        yield from (of_gpu(error) for error in sorted(readings.errors))


def _memory(readings: Readings) -> Iterator[str]:
    _, _, pending, failed = readings.remapped_rows or (0, 0, 0, 0)
    if failed:
        yield "remapping a defective memory row failed: have the GPU replaced"
    if pending:
        yield f"a defective memory row waits to be remapped: {RESET}"
    if readings.retired_pages_pending:
        yield "a defective memory page waits to be retired: reboot the machine"


def _fabric(readings: Readings) -> Iterator[str]:
    state, status = readings.fabric or (0, 0)
    if state and state != _FABRIC_COMPLETED:
        yield "its NVSwitch fabric is not ready and CUDA will fail: start nvidia-fabricmanager and wait for it"
    elif state and status:
        yield f"its NVSwitch fabric failed to register (NVML error {status}): restart nvidia-fabricmanager"


def _prohibited(readings: Readings) -> Iterator[str]:
    if readings.compute_mode == _PROHIBITED:
        yield "its compute mode is `prohibited`: run `sudo nvidia-smi --compute-mode=DEFAULT`"


def _ecc(readings: Readings) -> Iterator[tuple[str, str]]:
    if count := readings.ecc_uncorrected:
        yield f"{count} uncorrected memory error{'s' if count > 1 else ''} since the driver was loaded", RESET


def _xids(readings: Readings) -> Iterator[tuple[str, str]]:
    for xid in dict.fromkeys(number for number in readings.xids if number in kernel_log.CRITICAL):
        remedy = "reboot the machine" if xid in kernel_log.REBOOT else RESET
        yield f"the kernel's log says that {kernel_log.CRITICAL[xid]} (Xid {xid})", remedy


def _advice(readings: Readings) -> Iterator[str]:
    for xid in dict.fromkeys(number for number in readings.xids if number in kernel_log.ADVISORY):
        what, _, remedy = kernel_log.ADVISORY[xid].partition(": ")
        yield f"the kernel's log says that {what} (Xid {xid}): {remedy}"
    if readings.opened and "CorruptedInforom" in readings.errors:
        yield of_gpu("CorruptedInforom")


def _slowed(readings: Readings) -> Iterator[str]:
    reasons = readings.clocks_event_reasons or 0
    told = [text for bit, text in _SLOWED.items() if reasons & bit]
    yield from told
    if reasons & _SLOWED_BY_HARDWARE and not told:
        yield "it is slowed down by its hardware, for heat or power: see `nvidia-smi -q -d PERFORMANCE`"


def _modes(readings: Readings) -> Iterator[str]:
    if readings.compute_mode == _EXCLUSIVE_PROCESS:
        yield "its compute mode lets one process in at a time, so sharing it fails: `sudo nvidia-smi --compute-mode=DEFAULT`"
    current, pending = readings.mig_mode or (0, 0)
    if current != pending:
        yield f"MIG is switched {'on' if pending else 'off'} after a reset: {RESET}"


def _silence(readings: Readings) -> Iterator[str]:
    if readings.opened and not readings.tells_processes:
        yield "the driver does not tell who uses it: others are seen by the memory that is not free, and by nothing else"
