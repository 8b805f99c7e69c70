"""Where a Hub stands apart from its proxy, as in a cluster: the proxy runs already, and both are reached by addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from labctl.errors import PreflightError

PORTS = {"hub": 8081, "board": 8082}
"""What the Hub and the board listen on there: a Service names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`proxy_api` is the proxy's own interface, `address` this Hub's among its proxy and services, `sessions_url` the one under
    which JupyterLabs find it for as long as they live.
    """

    proxy_api: str
    address: str
    sessions_url: str


def place(environ: Mapping[str, str]) -> Place | None:
    """None when LABCTL_HUB_PROXY names no address: the proxy is a program then. Raises PreflightError for what is missing."""
    proxy = environ.get("LABCTL_HUB_PROXY", "")
    if not _is_url(proxy):
        return None
    needed = {
        name: environ.get(name, "") for name in ("LABCTL_HUB_ADDRESS", "LABCTL_HUB_URL", "CONFIGPROXY_AUTH_TOKEN")
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        what = f"LABCTL_HUB_PROXY is the address {proxy}, and {' and '.join(missing)} is not set"
        raise PreflightError(what, "docs/kubernetes-hosting.md says what each is; k8s/base sets them")
    if not _is_url(needed["LABCTL_HUB_URL"]):
        what = f"LABCTL_HUB_URL is {needed['LABCTL_HUB_URL']!r}, which is no address"
        raise PreflightError(what, "for example http://hub.labctl-system.svc:8081")
    return Place(
        proxy_api=proxy.rstrip("/"),
        address=needed["LABCTL_HUB_ADDRESS"],
        sessions_url=needed["LABCTL_HUB_URL"].rstrip("/"),
    )


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
