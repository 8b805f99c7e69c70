"""The git history of a learner's workspace, asked of git in the session."""

from __future__ import annotations

from labctl.checks.base import Unmet
from labctl.target import CannotLook, CommandResult, Target

MAX_COMMITS = 200
MAX_BYTES = 16 * 1024 * 1024
_NOT_FOUND = 127
# Nothing that a repository's own configuration names is started, and nobody else's is read.
_GIT = ("git", "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_ANY_OWNER = ("-c", "safe.directory=*")  # in a container the workspace may be another user's
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def texts_in_history(target: Target, path: str, *, timeout_s: float) -> list[str]:
    """The texts that a file had in the commits of all branches that changed it, the newest first; of the last 200 commits.

    Unmet when the workspace is no git repository; CannotLook when the session has no git.
    """
    commits = _git(target, "rev-list", "--all", f"--max-count={MAX_COMMITS}", "--", path, timeout_s=timeout_s)
    names = [f"{commit}:./{path}" for commit in commits.stdout.split()]
    if not names:
        return []
    stdin = "".join(f"{name}\n" for name in names).encode()
    return _blobs(_git(target, "cat-file", "--batch", timeout_s=timeout_s, stdin=stdin))


def _git(target: Target, *arguments: str, timeout_s: float, stdin: bytes = b"") -> CommandResult:
    command = [*_GIT, *_ANY_OWNER, *arguments]
    result = target.run(command, timeout_s=timeout_s, env=_ENVIRONMENT, stdin=stdin, max_output_bytes=MAX_BYTES)
    if result.exit_code == _NOT_FOUND:
        raise CannotLook("the session has no program `git`")
    if result.timed_out or result.truncated:
        raise Unmet(f"git {arguments[0]} took longer than {timeout_s:g}s, or said more than {MAX_BYTES} bytes")
    if result.exit_code != 0:
        raise Unmet(f"the git history cannot be read: {result.stderr.strip()[-200:]}")
    return result


def _blobs(result: CommandResult) -> list[str]:
    """The contents in the answer of `git cat-file --batch`: a line "OID blob SIZE", SIZE bytes, a line end; or "NAME missing"."""
    data, texts = result.stdout.encode(), []
    while data:
        head, _, data = data.partition(b"\n")
        words = head.split()
        if len(words) == 3 and words[1] == b"blob" and words[2].isdigit():
            size = int(words[2])
            texts.append(data[:size].decode(errors="replace"))
            data = data[size + 1 :]
    return texts
