"""A real PostgreSQL for tests: a server of this test run's own, and an empty database for each test."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

LACKS = "there is no PostgreSQL server here; get one with: sudo apt-get install postgresql"
OWNER = "postgres"
"""Whom Debian's package makes; a server refuses to run as root."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server, without a database's name. Skips the test where there is none."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="labctl-postgresql-"))
    data, port = folder / "data", _free_port()
    try:
        if os.getuid() == 0:
            shutil.chown(folder, OWNER)
        _as_owner(programs / "initdb", "-D", data, "-U", "labctl", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _as_owner(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
        yield f"postgresql://labctl@127.0.0.1:{port}"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            _as_owner(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


_numbers = count(1)


def empty_database(server_url: str) -> str:
    """The URL of a new database."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server_url}/{name}"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip(LACKS)
    return found[0].parent if found else Path(str(on_path)).parent


def _as_owner(program: Path, *arguments: object) -> None:
    before = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"] if os.getuid() == 0 else []
    command = [*before, str(program), *map(str, arguments)]
    # The server keeps the output open that it was started with.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
