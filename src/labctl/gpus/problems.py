"""Why GPUs are not to be seen or used, in one sentence for each thing that NVML answers, with the remedy. Pure."""

from __future__ import annotations

import signal

_NO_GPU_IN = {
    "machine": "No NVIDIA driver is visible here: this machine has none (use the cpu profile), or this container was"
    " started without a GPU (start it with `--gpus`).",
    "container": "No NVIDIA driver is visible in this container: it was started without a GPU (start it with `--gpus`),"
    " or its host has none (use the cpu profile).",
    "wsl": "No NVIDIA driver is visible in WSL: install NVIDIA's driver on Windows, never one in WSL, and run"
    " `wsl --update`; /usr/lib/wsl/lib/libnvidia-ml.so.1 must be there.",
}
_SENTENCES = {
    "DriverNotLoaded": "The NVIDIA driver is installed and its kernel module is not loaded: run `sudo modprobe nvidia`; if"
    " that fails, look at `dkms status` and at Secure Boot (an unsigned module is refused), then reboot.",
    "LibRmVersionMismatch": "The NVIDIA driver was upgraded while its old kernel module kept running (kernel module"
    " {kernel}, library {library}): reboot.",
    "NoPermission": "The NVIDIA driver refuses this user: look at `ls -l /dev/nvidia*` and join the group that may open"
    " them, or have an administrator set mode 0666.",
    "OperatingSystem": "The operating system blocks access to the GPU, as a container's or a job's device rules do: ask for"
    " the GPU where the container or job is started.",
    "GpuIsLost": "A GPU fell off the bus: `dmesg | grep -i xid` shows when; power the machine off and on, and have the GPU"
    " looked at if it comes again.",
    "ResetRequired": "A GPU must be reset before it can be used: run `sudo nvidia-smi --gpu-reset`, or reboot.",
    "FunctionNotFound": "The NVIDIA driver is too old for labctl to ask it (library {library}): install a supported"
    " driver branch.",
    "LibraryMismatch": "The NVIDIA driver (library {library}) is older than the bindings that labctl asks it with: install"
    " a supported driver branch.",
    "ArgumentVersionMismatch": "The NVIDIA driver (library {library}) does not know the form in which labctl asks it:"
    " install a supported driver branch.",
    "Uninitialized": "The NVIDIA library answered that it was not started: look whether `nvidia-smi` answers, and reinstall"
    " the driver if it does not.",
    "Timeout": "The NVIDIA driver ran out of time when it was asked for its GPUs: look for Xid errors in `dmesg`, and reboot"
    " if `nvidia-smi` is as slow.",
    "IrqIssue": "The NVIDIA driver gets no interrupts from a GPU: look at `dmesg | grep -i nvrm` and at the firmware's"
    " settings for PCI Express, then reboot.",
    "InsufficientPower": "A GPU's external power is not connected: power the machine off and connect its cables.",
    "CorruptedInforom": "A GPU's infoROM is corrupted: `nvidia-smi -q` names it; have the GPU replaced.",
    "Memory": "The NVIDIA driver has no memory left to answer with: look at `free -h`, and at the limits of this job or"
    " container.",
    "InsufficientResources": "The NVIDIA driver has no resources left for another user of its GPUs: end some, or reboot if"
    " there are none.",
    "InUse": "A GPU is being set up or reset by somebody else: try again in a minute.",
    "NotReady": "The NVIDIA driver is not ready yet: try again in a minute, and look at `dmesg | grep -i nvrm` if it stays"
    " so.",
    "NotSupported": "The NVIDIA driver does not tell labctl of its GPUs on this kind of machine: look at `nvidia-smi`.",
    "GpuNotFound": "The NVIDIA driver does not find a GPU that it knew: look at `lspci | grep -i nvidia`, and power the"
    " machine off and on.",
    "NoGpu": "The NVIDIA driver is loaded and sees no GPU: look at `lspci | grep -i nvidia` and `dmesg | grep -i nvrm`, or,"
    " in a container or virtual machine, pass a GPU to it.",
}
_UNKNOWN = "The NVIDIA driver answered {error!r} when it was asked for its GPUs: look at `nvidia-smi` and `dmesg`."

RESET = "run `sudo nvidia-smi --gpu-reset` while nothing uses it"
_OF_GPU = {
    "GpuIsLost": "it fell off the bus: power the machine off and on, and have the GPU looked at if it comes again",
    "ResetRequired": f"it must be reset: {RESET}",
    "NoPermission": "the driver refuses it to this user: look at `ls -l /dev/nvidia*` and join the group that may open them",
    "OperatingSystem": "the operating system blocks access to it: ask for it where the container or job is started",
    "InsufficientPower": "its external power is not connected: power the machine off and connect its cables",
    "IrqIssue": "the driver gets no interrupts from it: look at `dmesg | grep -i nvrm`, then reboot",
    "CorruptedInforom": "its infoROM is corrupted: have the GPU replaced",
    "Timeout": "the driver ran out of time with it: look for Xid errors in `dmesg`, and reboot if it stays so",
    "InUse": "somebody is setting it up or resetting it: try again in a minute",
    "NotReady": "it is not ready yet: try again in a minute",
    "Memory": "the driver has no memory left for it: look at `free -h`",
    "InsufficientResources": "the driver has no resources left for another user of it: end some",
    "GpuNotFound": "the driver does not find it any more: look at `lspci | grep -i nvidia`",
}


def sentence(error: str, *, library: str | None = None, kernel: str | None = None) -> str:
    """The sentence for an NVML error's name, as in `NVMLError_DriverNotLoaded`, or for `NoGpu`.

    `library` and `kernel` are the versions of the user-space library and of the running kernel module.

    >>> sentence("LibRmVersionMismatch", library="12.570.86", kernel="550.54.15").partition(": ")[0]
    'The NVIDIA driver was upgraded while its old kernel module kept running (kernel module 550.54.15, library 12.570.86)'
    """
    words = {"library": library or "unknown", "kernel": kernel or "unknown", "error": error}
    return _SENTENCES.get(error, _UNKNOWN).format(**words)


def no_driver(place: str = "machine") -> str:
    """The sentence for a `machine`, a `container` or a `wsl` without the driver's library."""
    return _NO_GPU_IN[place]


def unloadable(library: str, why: str) -> str:
    """The sentence for a library that the settings name and that cannot be loaded."""
    return f"The NVML library {library} cannot be loaded ({why}): correct LABCTL_NVML_LIBRARY, or unset it."


def unaskable(program: str, why: str) -> str:
    """The sentence for labctl's own Python, `program`, that this user may not start."""
    return f"The NVIDIA driver cannot be asked, because {program} cannot be started ({why}): mend its permissions."


def hangs(deadline_s: float) -> str:
    """The sentence for a driver that does not answer."""
    return (
        f"The NVIDIA driver did not answer within {deadline_s:g} seconds: see whether `nvidia-smi` answers, look for Xid"
        " errors in `dmesg`, and reboot if it hangs too."
    )


def crashed(returncode: int) -> str:
    """The sentence for a library that took its process with it. A negative `returncode` is a signal's number."""
    return f"The NVML library crashed when it was asked for GPUs ({_how(returncode)}): reinstall the NVIDIA driver."


def of_gpu(error: str) -> str:
    """What is wrong with one GPU that the driver does not open, to follow its name."""
    unknown = f"the driver does not open it ({error}): look at `ls -l /dev/nvidia*`, `nvidia-smi` and `dmesg`"
    return _OF_GPU.get(error, unknown)


def gpu_hangs(deadline_s: float) -> str:
    """The same for one GPU that does not answer."""
    return f"it did not answer within {deadline_s:g} seconds: look for Xid errors in `dmesg`, and reboot if it stays so"


def gpu_crashed(returncode: int) -> str:
    """The same for one GPU with which the library crashed, or that was still to be asked then."""
    return f"the NVML library crashed before it told of it ({_how(returncode)}): reinstall the NVIDIA driver"


def _how(returncode: int) -> str:
    return signal.strsignal(-returncode) or "a signal" if returncode < 0 else f"exit code {returncode}"
