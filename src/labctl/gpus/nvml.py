"""What NVML says about the GPUs of this host. The only module that speaks to the NVML bindings.

The driver is asked in a process of its own: a call into a wedged driver cannot be interrupted, and a library that crashes
takes its process with it. Neither may happen to labctl. `python -m labctl.gpus.nvml [--accounting] [LIBRARY]` is that
process: it prints what it finds as lines of JSON, GPU by GPU, so that one that hangs hides no other. Its start is most
of what an inventory costs: it imports neither dataclasses nor typing, and answers with figures that others judge.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading

from labctl.gpus import figures, topology

TYPE_CHECKING = False  # typing's own costs the process 5 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from labctl.gpus.accounting import Accounted
    from labctl.gpus.inventory import Inventory

DEADLINE_S = 15.0
"""Opening eight GPUs without persistence mode takes most of this; nvidia-smi needs as long."""
_LIBRARY = "libnvidia-ml.so.1"
_PATIENCE_S = 0.05
"""How long one GPU has to itself before the next is asked beside it: threads that all want the interpreter cost more."""
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_BROKEN = 70  # EX_SOFTWARE


def inventory(library: str | None = None, *, deadline_s: float = DEADLINE_S) -> Inventory:
    """The GPUs of this host; never raises. Where there are none, `problem` is one sentence with the cause and the remedy.

    `library` is the path of the NVML library; None finds the driver's own. The answer comes within `deadline_s`
    seconds, give or take the start of a process. GPUs that did not answer by then are there, ill, beside those that did.
    """
    from labctl.gpus import answers, driver, kernel_log

    try:
        process = driver.start(library)
    except OSError as error:
        return answers.unaskable(error)
    log = kernel_log.read()  # meanwhile
    return answers.inventory(driver.finish(process, deadline_s), library, log or "")


def accounting(library: str | None = None, *, deadline_s: float = DEADLINE_S) -> list[Accounted]:
    """What processes used of the GPUs, those that ended included; never raises.

    Empty where the driver keeps no account: `sudo nvidia-smi --accounting-mode=1` begins it, and it forgets all of it
    when it is unloaded, which happens between jobs unless the persistence daemon runs. MIG slices are not accounted.
    """
    from labctl.gpus import accounting, driver

    try:
        process = driver.start(library, "--accounting")
    except OSError:
        return []
    return accounting.of_answer(driver.finish(process, deadline_s))


class Device:
    """NVML's functions by name, for one device. What the driver does not say is None; `errors` keeps why."""

    def __init__(self, bindings: ModuleType) -> None:
        self.bindings = bindings
        self.errors: set[str] = set()

    def ask(self, function: str, *arguments: Any) -> Any:
        nvml = self.bindings
        try:
            return getattr(nvml, function)(*arguments)
        except nvml.NVMLError as error:
            self.errors.add(_name(error))
        except nvml.NVMLLibraryMismatchError:  # no NVMLError: bindings newer than the driver
            self.errors.add("LibraryMismatch")
        except (AttributeError, UnicodeDecodeError):  # bindings without the function; a name that is not UTF-8
            self.errors.add("FunctionNotFound")
        return None

    def text(self, function: str, *arguments: Any) -> str | None:
        """The answer as text: some releases of the bindings give bytes."""
        value = self.ask(function, *arguments)
        return value.decode(errors="replace") if isinstance(value, bytes) else value


def main() -> None:
    """The process that asks. It ends at once: nothing of what the bindings hold is taken apart one by one."""
    threading.excepthook = _broke
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)  # not to hang on where whoever asks was killed
    os._exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    accounts = "--accounting" in arguments
    library = next((argument for argument in arguments if not argument.startswith("--")), None)
    try:
        loaded = ctypes.CDLL(library or _LIBRARY)
    except OSError as error:
        return _tell({"system": {"error": "LibraryNotFound", "why": str(error)}})
    nvml = _bindings(loaded)
    device = Device(nvml)
    device.ask("nvmlInitWithFlags", nvml.NVML_INIT_FLAG_NO_GPUS)
    if device.errors:
        nvml_version = Device(nvml).text("nvmlSystemGetNVMLVersion")  # answers without a successful nvmlInit
        return _tell({"system": {"error": device.errors.pop(), "nvml": nvml_version}})
    return _accounts(nvml) if accounts else _inventory(nvml)


def _bindings(library: ctypes.CDLL) -> ModuleType:
    # the bindings import find_library from it and never call it; it would load subprocess and tempfile, which is a
    # third of this process's time
    search = type(sys)("ctypes.util")
    search.find_library = lambda _: None  # type: ignore[attr-defined]
    sys.modules.setdefault("ctypes.util", search)
    import pynvml

    pynvml.nvmlLib = library
    return pynvml  # type: ignore[no-any-return]


def _name(error: Any) -> str:
    name = type(error).__name__
    return name.removeprefix("NVMLError_") if name != "NVMLError" else f"error {error.value}"


_printing = threading.Lock()


def _tell(answer: dict[str, Any]) -> int:
    """One line. The empty one before it ends whatever a driver library printed on its own."""
    with _printing:
        sys.stdout.write("\n" + json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _inventory(nvml: ModuleType) -> int:
    system = Device(nvml)
    count = system.ask("nvmlDeviceGetCount")
    answer = {
        "driver": system.text("nvmlSystemGetDriverVersion"),
        "cuda": system.ask("nvmlSystemGetCudaDriverVersion"),
        "nvml": system.text("nvmlSystemGetNVMLVersion"),
        "count": count,
        "error": next(iter(sorted(system.errors))) if count is None else None,
    }
    _tell({"system": answer})
    handles: dict[int, Any] = {}
    threads = [threading.Thread(target=_gpu, args=(nvml, index, handles), daemon=True) for index in range(count or 0)]
    for thread in threads:
        thread.start()
        thread.join(_PATIENCE_S)
    for thread in threads:
        thread.join()
    return _tell({"links": topology.links(nvml, handles)})


def _gpu(nvml: ModuleType, index: int, handles: dict[int, Any]) -> None:
    """In a thread of its own: where one GPU hangs or is slow to open, the others are read all the same."""
    device = Device(nvml)
    handle = device.ask("nvmlDeviceGetHandleByIndex", index)
    if handle is None:
        _tell({"gpu": {"index": index, "opened": False, "errors": sorted(device.errors), "read": True}})
        return
    handles[index] = handle
    _tell({"gpu": {"index": index, **figures.identity(device, handle)}})
    answer = figures.figures(device, handle)
    _tell({"gpu": {"index": index, **answer, "errors": sorted(device.errors), "read": True}})


def _accounts(nvml: ModuleType) -> int:
    for index in range(Device(nvml).ask("nvmlDeviceGetCount") or 0):
        device = Device(nvml)
        handle = device.ask("nvmlDeviceGetHandleByIndex", index)
        uuid = device.text("nvmlDeviceGetUUID", handle) if handle is not None else None
        if uuid and device.ask("nvmlDeviceGetAccountingMode", handle):
            _tell({"accounted": figures.accounted(device, handle), "uuid": uuid})
    return 0


def _broke(hook: threading.ExceptHookArgs) -> None:
    sys.__excepthook__(hook.exc_type, hook.exc_value or hook.exc_type(), hook.exc_traceback)
    os._exit(_BROKEN)


if __name__ == "__main__":
    main()
