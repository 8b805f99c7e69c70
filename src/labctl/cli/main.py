"""The entry point, and the one place where errors become words and exit codes."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import EXIT_INTERRUPTED, LabctlError, PreflightError, UsageError

if TYPE_CHECKING:
    from typer import TyperException

_HOST_TROUBLE = {
    errno.ENOSPC: "free some space, or set LABCTL_HOME to a larger disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or set LABCTL_HOME to another disk",
    errno.EACCES: "check the permissions, or set LABCTL_HOME to a folder of your own",
    errno.EPERM: "check the permissions, or set LABCTL_HOME to a folder of your own",
    errno.ENOTDIR: "a file stands where a folder must be; set LABCTL_HOME to another place",
    errno.EROFS: "the disk is read-only; set LABCTL_HOME to one that can be written",
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n`",
}


def main() -> int:
    """Run the command line. The exit code is the contract of docs/cli.md."""
    try:
        return _run()
    except LabctlError as error:
        return _tell(error)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; run the same command again to go on\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush into
        return 0
    except Exception as error:  # noqa: BLE001  # the boundary: everything else is a bug of ours
        return _tell(_host_trouble(error) or _bug(error))


def _run() -> int:
    """The verb's exit code. Imports in here, so that Ctrl-C is met from the first moment on."""
    import typer

    from labctl.cli.app import app

    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error.format_message()}\n")
            return UsageError.exit_code
        raise _usage(error) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _tell(error: LabctlError) -> int:
    if _wants_json():
        values = {"error": {"code": error.exit_code, "message": error.what, "hint": error.hint}}
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return error.exit_code
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    mark, hint_mark, end = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if colour else ("", "", "")
    sys.stderr.write(f"{mark}error:{end} {_printable(error.what)}\n")
    if error.hint:
        sys.stderr.write(f"{hint_mark} hint:{end} {_printable(error.hint)}\n")
    return error.exit_code


def _wants_json() -> bool:
    before_command = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    return "--json" in before_command


def _printable(text: str) -> str:
    """Without control characters: a message may carry words from a file or a service."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _usage(error: TyperException) -> LabctlError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "labctl"
    return UsageError(error.format_message(), f"`{command} --help` shows what is accepted")


def _host_trouble(error: Exception) -> LabctlError | None:
    if not isinstance(error, OSError) or error.errno not in _HOST_TROUBLE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return PreflightError(f"{where}{os.strerror(error.errno)}", _HOST_TROUBLE[error.errno])


def _bug(error: Exception) -> LabctlError:
    text = "".join(traceback.format_exception(error))
    where = _write_log(text)
    return LabctlError(
        f"a bug of labctl: {type(error).__name__}: {str(error)[:200]}",
        f"please report it with the file {where}" if where else text,
    )


def _write_log(text: str) -> Path | None:
    home = Path(os.environ.get("LABCTL_HOME") or "~/.local/share/labctl").expanduser()
    path = home / f"bug-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    try:
        home.mkdir(parents=True, exist_ok=True)
        path.write_text(f"labctl {' '.join(sys.argv[1:])}\npython {sys.version}\n\n{text}")
    except OSError:
        return None
    return path


if __name__ == "__main__":
    sys.exit(main())
