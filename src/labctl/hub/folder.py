"""Where a cohort's Hub keeps its things: `$LABCTL_HOME/hubs/<cohort>/`, readable by its owner only."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from labctl.disk import read_json, write_atomically

_KEPT_PORTS = ("hub", "proxy", "board")
_RANGE = range(14_000, 20_000)


@dataclass(frozen=True, slots=True)
class HubFolder:
    """The files of one Hub."""

    home: Path
    cohort: str

    @property
    def root(self) -> Path:
        return self.home / "hubs" / self.cohort

    @property
    def config(self) -> Path:
        return self.root / "jupyterhub_config.py"

    @property
    def database(self) -> Path:
        return self.root / "jupyterhub.sqlite"

    @property
    def door(self) -> Path:
        """A folder with the socket on which the Hub listens for containers."""
        return self.root / "door"

    @property
    def invites(self) -> Path:
        return self.root / "invites.json"

    @property
    def invite_key(self) -> Path:
        return self.root / "invites.key"

    @property
    def address(self) -> Path:
        """Where the portal was last served: {url}."""
        return self.root / "address.json"

    @property
    def url(self) -> str:
        """That address; the usual one when it was never served."""
        return str(read_json(self.address).get("url") or "http://127.0.0.1:8000")

    def create(self) -> None:
        """Make it, for its owner only."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def ports(self) -> dict[str, int]:
        """The ports behind the proxy, which stay: JupyterLabs that run have been told where the Hub is."""
        file = self.root / "ports.json"
        known = {name: int(port) for name, port in read_json(file).items() if name in _KEPT_PORTS}
        if len(known) < len(_KEPT_PORTS):
            known = {**dict(zip(_KEPT_PORTS, _free_ports(len(_KEPT_PORTS)), strict=True)), **known}
            write_atomically(file, json.dumps(known))
        return known


def folder_at(path: str) -> HubFolder:
    """The folder whose `root` is at `path`."""
    root = Path(path)
    return HubFolder(root.parent.parent, root.name)


def _free_ports(count: int) -> list[int]:
    """Below those that Linux takes for outgoing connections, one of which would else have it while the Hub is restarted."""
    numbers = random.sample(_RANGE, len(_RANGE))
    return list(islice(filter(_is_free, numbers), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
