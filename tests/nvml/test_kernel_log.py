"""Xid errors in the kernel's log. The lines are those of NVIDIA's documents and of public bug reports."""

from __future__ import annotations

from labctl.gpus import kernel_log
from labctl.gpus.health import Readings, judge

LOG = """\
<6>[    9.112] nvidia: loading out-of-tree module taints kernel.
<4>[    9.480] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.86.10  Tue Jan 14 01:00:00 UTC 2025
<4>[  812.000] NVRM: Xid (PCI:0000:17:00): 13, pid=4242, name=python, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0)
<4>[  900.000] NVRM: Xid (PCI:0000:17:00): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.
<4>[  901.000] NVRM: Xid (PCI:0000:3D:00 GPU-I:05): 95, pid=77, name=python, Uncontained: FBHUB
<4>[  950.000] NVRM: Xid (PCI:0000:3d:00): 48, pid=77, name=python, DBE (double bit error)
"""


def test_critical_errors_are_found_by_bus_id_and_those_of_programs_are_not() -> None:
    assert kernel_log.xids(LOG) == {"0000:17:00": (63,), "0000:3d:00": (95, 48)}


def test_only_errors_since_the_driver_was_loaded_count() -> None:
    reloaded = LOG + "<4>[ 2000.0] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n"
    assert kernel_log.xids(reloaded) == {}
    again = reloaded + "<4>[ 2001.0] NVRM: Xid (0000:17:00): 79, GPU has fallen off the bus.\n"
    assert kernel_log.xids(again) == {"0000:17:00": (79,)}


def test_errors_from_which_the_driver_recovered_do_not_count() -> None:
    change = "<4>[ 990.0] NVRM: Xid (PCI:0000:3d:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)\n"
    assert kernel_log.xids(LOG + change) == {"0000:17:00": (63,)}
    worse = change.replace("0x1 (GPU Reset Required) to 0x0 (None)", "0x0 (None) to 0x2 (Node Reboot Required)")
    assert kernel_log.xids(LOG + worse) == kernel_log.xids(LOG)


def test_a_bus_id_with_a_long_domain_is_the_one_that_nvml_gives() -> None:
    line = (
        "NVRM: Xid (PCI:000E:01:00): 119, pid=1, name=x, Timeout after 6s of waiting for RPC response from GPU14 GSP!"
    )
    assert kernel_log.xids(line) == {"000e:01:00": (119,)}


def test_a_critical_error_makes_a_gpu_ill_unless_the_driver_needs_no_recovery() -> None:
    ill, recovered = judge(Readings(xids=(48, 48, 79))), judge(Readings(xids=(48,), recovery_action=0))
    assert (ill.ok, recovered.ok) == (False, True)
    assert ill.reasons == (
        "the kernel's log says that it met a double-bit memory error (Xid 48): run `sudo nvidia-smi --gpu-reset` while "
        "nothing uses it",
        "the kernel's log says that it fell off the bus (Xid 79): reboot the machine",
    )
    assert recovered.reasons[0].endswith("(Xid 48); the driver asks for no recovery")


def test_an_advisory_error_is_told_and_leaves_a_gpu_well() -> None:
    health = judge(Readings(xids=(63, 94, 63)))
    assert health.ok
    assert [reason.partition("(Xid ")[2][:2] for reason in health.reasons] == ["63", "94"]


def test_no_error_is_in_both_tables() -> None:
    assert not kernel_log.CRITICAL.keys() & kernel_log.ADVISORY.keys()
    assert kernel_log.CRITICAL.keys() >= kernel_log.REBOOT


def test_only_the_drivers_lines_are_taken_from_the_kernels_log() -> None:
    log = kernel_log.read()
    assert log is None or all("NVRM:" in line for line in log.splitlines())
