"""JupyterLab behind a portal, in the workspace's container: what it is told, and its way to the portal. Pure.

A session's containers reach nothing outside, the portal included. JupyterLab must ask it who somebody is: for that, and for
nothing else, the portal's socket is in its container.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from labctl.notebook import SOCKET, Notebook

DOOR = "/run/labctl"
_ASKED = ("JUPYTERHUB_API_URL", "JUPYTERHUB_ACTIVITY_URL")
_MARK = "LABCTL_NOTEBOOK"
"""What makes the container another one when a secret is: its environment only names those."""


def environment(notebook: Notebook, port: int) -> dict[str, str]:
    """What the server is told: to listen on `port`, and to ask through the door, where there is one."""
    told = {name: value for name, value in notebook.environment.items() if value}
    asked = {name: _through_the_door(told[name]) for name in _ASKED if name in told and notebook.door}
    url = f"http://0.0.0.0:{port}{notebook.prefix}"  # a container's own network
    return {**told, **asked, "JUPYTERHUB_SERVICE_URL": url, _MARK: notebook.mark}


def healthcheck(notebook: Notebook, plain: Mapping[str, Any]) -> dict[str, Any]:
    """`plain`, of JupyterLab alone, under the portal's prefix."""
    return {**plain, "http": f"{notebook.prefix}api"}


def _through_the_door(url: str) -> str:
    socket = quote(f"{DOOR}/{SOCKET}", safe="")
    return f"http+unix://{socket}{urlsplit(url).path}"
