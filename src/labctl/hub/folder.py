"""Where a cohort's Hub keeps its things: `$LABCTL_HOME/hubs/<cohort>/`, readable by its owner only."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from labctl.disk import read_json, write_atomically

_KEPT_PORTS = ("hub", "proxy", "board")


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


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
