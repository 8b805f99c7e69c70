"""Why no GPU is to be seen, in one sentence each, with the remedy. Pure."""

from __future__ import annotations

import signal

_SENTENCES = {
    "LibraryNotFound": "No NVIDIA driver is visible here: this machine has none (use the cpu profile), or this container"
    " was started without a GPU (start it with `--gpus`).",
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
    "NoGpu": "The NVIDIA driver is loaded and sees no GPU: look at `lspci | grep -i nvidia` and `dmesg | grep -i nvrm`, or,"
    " in a container or virtual machine, pass a GPU to it.",
}
_UNKNOWN = "The NVIDIA driver answered {error!r} when it was asked for its GPUs: look at `nvidia-smi` and `dmesg`."


def sentence(error: str, *, library: str | None = None, kernel: str | None = None) -> str:
    """The sentence for an NVML error's name, as in `NVMLError_DriverNotLoaded`, or for `NoGpu`.

    `library` and `kernel` are the versions of the user-space library and of the running kernel module.

    >>> sentence("LibRmVersionMismatch", library="12.570.86", kernel="550.54.15").partition(": ")[0]
    'The NVIDIA driver was upgraded while its old kernel module kept running (kernel module 550.54.15, library 12.570.86)'
    """
    words = {"library": library or "unknown", "kernel": kernel or "unknown", "error": error}
    return _SENTENCES.get(error, _UNKNOWN).format(**words)


def unloadable(library: str, why: str) -> str:
    """The sentence for a library that the settings name and that cannot be loaded."""
    return f"The NVML library {library} cannot be loaded ({why}): correct LABCTL_NVML_LIBRARY, or unset it."


def hangs(deadline_s: float) -> str:
    """The sentence for a driver that does not answer."""
    return (
        f"The NVIDIA driver did not answer within {deadline_s:g} seconds: see whether `nvidia-smi` answers, look for Xid"
        " errors in `dmesg`, and reboot if it hangs too."
    )


def crashed(returncode: int) -> str:
    """The sentence for a library that took its process with it. A negative `returncode` is a signal's number."""
    how = signal.strsignal(-returncode) if returncode < 0 else f"exit code {returncode}"
    return f"The NVML library crashed when it was asked for GPUs ({how}): reinstall the NVIDIA driver."
