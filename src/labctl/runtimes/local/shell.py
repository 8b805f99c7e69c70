"""A shell in a session: the user's own, with the lab's environment first on PATH whatever the user's start-up files do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from labctl.runtimes.folder import SessionFolder

_BASH = """\
lab_path=$PATH
[ -f ~/.bashrc ] && . ~/.bashrc
PATH=$lab_path; unset lab_path; hash -r
PS1="({lab}) $PS1"
"""
_ZSH = """\
lab_path=$PATH
unset ZDOTDIR
[ -f ~/.zshrc ] && . ~/.zshrc
PATH=$lab_path; unset lab_path; rehash
PS1="({lab}) $PS1"
"""
_OF_A_CLASS = """\
PS1='({lab}) \\W\\$ '
alias ls='ls --color=auto' ll='ls -l'
echo "labctl verify    see how far you are"
"""
_LABCTL = """\
#!/bin/sh
exec '{python}' -m labctl "$@"
"""


def command(folder: SessionFolder, lab: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """What to run for an interactive shell: bash and zsh with a start-up file of ours, any other as it is."""
    shell = (os.environ if environ is None else environ).get("SHELL") or "sh"
    place = folder.root / "shell"
    if Path(shell).name == "bash":
        return [shell, "--rcfile", str(_write(place / "bashrc", _BASH.format(lab=lab))), "-i"]
    if Path(shell).name == "zsh":
        _write(place / ".zshrc", _ZSH.format(lab=lab))
        return ["env", f"ZDOTDIR={place}", shell, "-i"]
    return [shell]


def of_a_class(folder: SessionFolder, lab: str) -> list[str]:
    """The same for somebody who is not whoever runs labctl, and has none of their start-up files: bash, else sh."""
    if not Path("/bin/bash").exists():
        return ["/bin/sh"]
    return ["/bin/bash", "--rcfile", str(_write(folder.root / "shell" / "classrc", _OF_A_CLASS.format(lab=lab))), "-i"]


def tools(folder: SessionFolder) -> Path:
    """A folder for the end of PATH: `labctl`, and nothing else of the environment labctl itself lives in."""
    place = folder.root / "bin"
    script = _write(place / "labctl", _LABCTL.format(python=sys.executable.replace("'", "'\\''")))
    script.chmod(0o755)
    return place


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(text, encoding="utf-8")
    return file
