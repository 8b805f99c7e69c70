"""labctl's inventory against a real NVIDIA GPU: `python -m bench.gpu_real [--into FOLDER]`.

Never run on a GPU so far: the machines on which labctl is developed have none. What it prints the first time is news.

It looks at each GPU as labctl does and as nvidia-smi does, takes 1 GiB of one in a process of its own and looks again,
asks for process accounting, and measures the inventory against bare NVML calls. It writes FOLDER/gpu-<date>.json and
ends with 0, with 1 where labctl and the machine disagree, or with 4 where there is no GPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.inventory import compared
from labctl import __version__
from labctl.gpus import nvml
from labctl.gpus.holders import sees_host_processes
from labctl.gpus.inventory import Gpu, Inventory

NO_GPU = 4
SESSION = "gpu-real--bench"
_TAKEN_MIB = 1024
_TOLERANCE_MIB = 1024
"""Between two looks others may allocate, and nvidia-smi counts what the driver reserves in its own way."""
_SMI = ["nvidia-smi", "--query-gpu=uuid,memory.total,memory.used,driver_version", "--format=csv,noheader,nounits"]
_TAKE = """
import ctypes, sys
size = int(sys.argv[1]) << 20
try:
    import torch
    held = torch.empty(size, dtype=torch.uint8, device="cuda")
except ImportError:
    cuda, context, memory = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_uint64()
    for code in (
        cuda.cuInit(0),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0),
        cuda.cuCtxSetCurrent(context),
        cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)),
    ):
        if code:
            sys.exit(f"CUDA error {code}")
print("taken", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One comparison. `ok` is None where it could not be made, and `seen` says why."""

    what: str
    ok: bool | None
    seen: str
    wanted: str = ""

    def __str__(self) -> str:
        mark = {True: "ok   ", False: "WRONG", None: "?    "}[self.ok]
        return f"{mark} {self.what}: {self.seen}" + (f" (wanted: {self.wanted})" if self.wanted else "")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare labctl's inventory with a real NVIDIA GPU.")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    into = parser.parse_args().into
    library = os.environ.get("LABCTL_NVML_LIBRARY") or None
    inventory = nvml.inventory(library)
    if not inventory.gpus:
        print(f"There is no GPU to compare with: {inventory.problem}", file=sys.stderr)
        return NO_GPU
    findings = [*_against_smi(inventory), *_allocation(inventory, library)]
    for finding in findings:
        print(finding)
    results = {
        "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "labctl": __version__},
        "inventory": asdict(inventory),
        "findings": [asdict(finding) for finding in findings],
        "accounting": [asdict(account) for account in nvml.accounting(library)],
        "timings": compared(library or "libnvidia-ml.so.1"),
    }
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"gpu-{datetime.now(UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(
        json.dumps({name: results[name] for name in ("accounting", "timings")}, indent=2),
        f"written to {path}",
        sep="\n",
    )
    return 1 if any(finding.ok is False for finding in findings) else 0


def _against_smi(inventory: Inventory) -> Iterator[Finding]:
    try:
        run = subprocess.run(_SMI, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding(what="nvidia-smi", ok=None, seen=str(error))
        return
    rows = {row[0]: row for row in csv.reader(run.stdout.splitlines(), skipinitialspace=True)}
    ours = {gpu.uuid: gpu for gpu in inventory.gpus}
    yield Finding(what="UUIDs", ok=set(ours) == set(rows), seen=", ".join(ours), wanted=", ".join(rows))
    for uuid in ours.keys() & rows.keys():
        _, total, used, driver = rows[uuid]
        yield Finding(what="driver", ok=inventory.driver == driver, seen=str(inventory.driver), wanted=driver)
        gpu = ours[uuid]
        free = gpu.memory_free_mib
        yield _near(f"{uuid} memory, MiB", gpu.memory_total_mib, total)
        yield _near(f"{uuid} used, MiB", None if free is None else (gpu.memory_total_mib or 0) - free, used)


def _near(what: str, seen: int | None, wanted: str) -> Finding:
    if seen is None or not wanted.isdigit():  # nvidia-smi writes [N/A]
        return Finding(what=what, ok=None if str(seen) != wanted else True, seen=str(seen), wanted=wanted)
    return Finding(what=what, ok=abs(seen - int(wanted)) <= _TOLERANCE_MIB, seen=str(seen), wanted=wanted)


def _allocation(inventory: Inventory, library: str | None) -> Iterator[Finding]:
    roomy = [
        gpu
        for gpu in inventory.gpus
        if gpu.health.ok and not gpu.mig_enabled and (gpu.memory_free_mib or 0) > 2 * _TAKEN_MIB
    ]
    if not roomy:
        yield Finding(what="allocation", ok=None, seen="no healthy GPU without MIG has 2 GiB free")
        return
    before = roomy[0]
    try:
        with _taking(before.uuid) as pid:
            now = next(gpu for gpu in nvml.inventory(library).gpus if gpu.uuid == before.uuid)
    except OSError as error:
        yield Finding(what="allocation", ok=None, seen=str(error))
        return
    yield from _seen(before, now, pid)


@contextmanager
def _taking(uuid: str) -> Iterator[int]:
    """A process that holds memory of the GPU; its number."""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": uuid, "LABCTL_SESSION": SESSION}
    command = [sys.executable, "-c", _TAKE, str(_TAKEN_MIB)]
    with subprocess.Popen(
        command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        if process.stdout.readline() != "taken\n":
            raise OSError(f"no memory could be taken: {process.stderr.read().strip().splitlines()[-1:]}")
        yield process.pid
        process.stdin.close()


def _seen(before: Gpu, now: Gpu, pid: int) -> Iterator[Finding]:
    less = (before.memory_free_mib or 0) - (now.memory_free_mib or 0)
    yield Finding(what="free memory fell, MiB", ok=less >= _TAKEN_MIB, seen=str(less), wanted=f"at least {_TAKEN_MIB}")
    if now.processes is None:
        yield Finding(what="process", ok=None, seen="the driver does not tell who uses it")
        return
    if not sees_host_processes():
        yield Finding(
            what="process", ok=None, seen=f"process numbers are hidden here; the driver tells {now.processes}"
        )
        return
    found = [process for process in now.processes if process.pid == pid]
    yield Finding(what="process", ok=len(found) == 1, seen=str(now.processes), wanted=f"pid {pid}")
    for process in found:
        taken = process.memory_mib
        yield Finding(
            what="its MiB",
            ok=None if taken is None else taken >= _TAKEN_MIB,
            seen=str(taken),
            wanted=f"at least {_TAKEN_MIB}",
        )
        yield Finding(what="its session", ok=process.session == SESSION, seen=str(process.session), wanted=SESSION)


if __name__ == "__main__":
    sys.exit(main())
