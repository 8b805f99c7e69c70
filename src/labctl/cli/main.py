"""The entry point, and the one place where errors become words and exit codes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli import streams
from labctl.errors import EXIT_INTERRUPTED, EngineError, LabctlError, PreflightError, UsageError

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
    streams.prepare()
    try:
        _check_arguments()
        code = _run()
        streams.flush_answer()
    except LabctlError as error:
        return _tell(error)
    except KeyboardInterrupt:
        streams.put(sys.stderr, "\ninterrupted; run the same command again to go on\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        streams.silence(sys.stdout)
        return 0
    except Exception as error:  # noqa: BLE001  # the boundary: everything else is a bug of ours
        return _tell(_host_trouble(error) or _foreign(error) or _bug(error))
    return code


def _check_arguments() -> None:
    """Refuse bytes that are no text, which neither the store nor JSON could keep; what `exec` and `run` run may have them."""
    for arg in [] if _runs_something(sys.argv[1:]) else sys.argv[1:]:
        try:
            arg.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{arg!r} is not UTF-8", "give it a name that is") from error


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
    if not (_wants_json() and streams.put(sys.stdout, _as_json(error))):
        streams.put(sys.stderr, _as_text(error))
    return error.exit_code


def _as_json(error: LabctlError) -> str:
    from labctl.reports.json_text import dump

    values = {"error": {"code": error.exit_code, "message": error.what, "hint": error.hint}}
    return dump(values, indent=None) + "\n"


def _as_text(error: LabctlError) -> str:
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    mark, hint_mark, end = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if colour else ("", "", "")
    hint = f"{hint_mark} hint:{end} {_printable(error.hint)}\n" if error.hint else ""
    return f"{mark}error:{end} {_printable(error.what)}\n{hint}"


def _wants_json() -> bool:
    """By a flag, or by a flag's environment name; what follows `exec` or `run` belongs to the command it runs."""
    args = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    words = _words(args)
    if _runs_something(args):
        return False
    names = {"_".join(["LABCTL", *words[:count], "JSON"]) for count in (1, 2)}  # of a verb, of a noun's verb
    if "--json" in args or any(map(_is_on, names)):
        return True
    return words[:1] == ["VERIFY"] and _format(args) == "json"


def _runs_something(args: list[str]) -> bool:
    return _words(args)[:1] in (["EXEC"], ["RUN"])


def _words(args: list[str]) -> list[str]:
    """What is no flag, as it stands in environment names: first the verb."""
    return [arg.upper().replace("-", "_") for arg in args if not arg.startswith("-")]


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "t", "yes", "y", "on")


def _format(args: list[str]) -> str | None:
    """What `verify --format` says, however it is written."""
    found = os.environ.get("LABCTL_VERIFY_FORMAT")
    for arg, following in zip(args, [*args[1:], ""], strict=True):
        if arg in ("--format", "-f"):
            found = following
        elif arg.startswith(("--format=", "-f")):
            found = arg.removeprefix("--format=").removeprefix("-f")
    return found


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


def _foreign(error: Exception) -> LabctlError | None:
    """Errors that are nobody's bug: a folder that went away under us, a name that is no text, an engine that is silent."""
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return UsageError("the current folder is gone", "go to one that exists: `cd`")
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return UsageError(f"{error.object!r} is not UTF-8", "labctl keeps such names as text; use another")
    from labctl.target import CannotLook

    return EngineError(str(error), "`labctl status` shows what runs") if isinstance(error, CannotLook) else None


def _has_folder() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _bug(error: Exception) -> LabctlError:
    text = "".join(traceback.format_exception(error))
    where = _write_log(text)
    return LabctlError(
        f"a bug of labctl: {type(error).__name__}: {str(error)[:200]}",
        f"please report it with the file {where}" if where else text,
    )


def _write_log(text: str) -> Path | None:
    """Where the log is: in LABCTL_HOME, or among the temporary files when that cannot be written; None when neither can."""
    import tempfile

    name = f"bug-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    said = f"labctl {' '.join(sys.argv[1:])}\npython {sys.version}\n\n{text}"
    for folder in (os.environ.get("LABCTL_HOME") or "~/.local/share/labctl", tempfile.gettempdir()):
        with contextlib.suppress(Exception):  # no trouble with the log may hide the bug itself
            path = Path(folder).expanduser() / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", errors="backslashreplace") as log:
                log.write(said)
            return path
    return None


if __name__ == "__main__":
    sys.exit(main())
