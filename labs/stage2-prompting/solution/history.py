"""Steps 1 to 6 as commits. Only the solution has it: a learner types these commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ME = ["-c", "user.name=Learner", "-c", "user.email=learner@example.org"]
REGISTRY = Path("prompts/registry.yaml")


def main() -> None:
    v2 = Path("prompts/route/v2.yaml").read_text()
    git("init", "--quiet")
    release(route="v1", solve="v1", why="First versions", leave=["prompts/route/v2.yaml", "prompts/solve/v2.yaml"])
    release(route="v2", solve="v2", why="Few-shot routing, steps for the bus")
    assert Path("prompts/route/v2.yaml").read_text() == v2
    shutil.copy("incoming/v3.yaml", "prompts/route/v3.yaml")
    release(route="v3", solve="v2", why="Kim's version")
    if not tests_refuse():
        sys.exit("the tests let v3 through")
    release(route="v2", solve="v2", why="Roll back: v3 sends two desks' messages to each other")


def tests_refuse() -> bool:
    """Whether the tests refuse what is live now."""
    return subprocess.run([sys.executable, "-m", "unittest", "test_prompts"], check=False).returncode != 0


def release(*, route: str, solve: str, why: str, leave: list[str] | None = None) -> None:
    """Commit prompts/ with these versions live, without the files of `leave`."""
    REGISTRY.write_text(f"# The version of each prompt that is live.\nroute: {route}\nsolve: {solve}\n")
    git("add", "prompts")
    if leave:
        git("rm", "--cached", "--quiet", *leave)
    git("commit", "--quiet", "-m", why)


def git(*arguments: str) -> None:
    subprocess.run(["git", *ME, *arguments], check=True)


if __name__ == "__main__":
    main()
