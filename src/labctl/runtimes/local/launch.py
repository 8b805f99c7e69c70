"""Becomes a service: `python launch.py FILE`, where FILE is JSON with `argv`, `env` and `cwd`.

supervisord starts this instead of the service, so that no value of a lab file passes through supervisord's own quoting,
`%` expansion and comments. It replaces itself by the service: same process id, no memory of its own. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(file: str) -> None:
    """Never returns: the process becomes the service, or ends with 127 and a line in the service's log."""
    spec = json.loads(Path(file).read_text())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(spec["cwd"])
        os.execvpe(spec["argv"][0], spec["argv"], {**inherited, **spec["env"]})  # noqa: S606 - no shell is the point
    except OSError as error:
        subject = error.filename or spec["argv"][0]
        sys.stderr.write(f"labctl: cannot start {spec['argv'][0]!r}: {subject}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1])
