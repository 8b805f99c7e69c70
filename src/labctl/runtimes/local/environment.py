"""The environment variables that services and commands run with, built from scratch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.runtimes import gpus

if TYPE_CHECKING:
    from labctl.plan import Plan, ServicePlan

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = frozenset(
    [
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TERM",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HF_HOME",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "CUDA_MPS_PIPE_DIRECTORY",  # where NVIDIA's multi-process service is reached: another than its default
        "CUDA_MPS_LOG_DIRECTORY",
    ]
)


def of_host(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is taken over from the user's own environment: home, language, proxies, certificates, the model hub."""
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")}
    return {"LANG": "C.UTF-8", **_past_the_proxy(kept), "PATH": _path(None)}


def _past_the_proxy(kept: Mapping[str, str]) -> dict[str, str]:
    """Services are on the loopback interface: where there is a proxy, it must not be asked for them."""
    if not any(name.lower().endswith("_proxy") for name in kept):
        return dict(kept)
    listed = kept.get("no_proxy") or kept.get("NO_PROXY") or ""
    around = ",".join(dict.fromkeys([*filter(None, listed.split(",")), "127.0.0.1", "localhost"]))
    return {**kept, "no_proxy": around, "NO_PROXY": around}


def of_session(plan: Plan, home: Path) -> dict[str, str]:
    """What every process of the session is told: whose it is, its models."""
    return {
        "LABCTL_SESSION": plan.session,
        "LABCTL_HOME": str(home),
        "LABCTL_LAB": plan.lab,
        "PYTHONUNBUFFERED": "1",
        **plan.model_environment,
    }


def of_service(plan: Plan, service: ServicePlan, home: Path, venv: str | None) -> dict[str, str]:
    """What a service runs with, before secrets are filled in. What the lab file says itself comes last, and wins."""
    return {
        **of_session(plan, home),
        **gpus.visible(plan.allocation if service.gpu else None),
        **of_venv(venv),
        **service.environment,
        "LABCTL_SERVICE": service.name,
    }


def of_urls(plan: Plan) -> dict[str, str]:
    """Where each service is, as LABCTL_URL_<SERVICE>: for the workspace only. A service would restart with every change."""
    first = {service.name: next(iter(service.ports.values()), None) for service in plan.services}
    return {
        f"LABCTL_URL_{name.upper().replace('-', '_')}": f"http://127.0.0.1:{port}"
        for name, port in first.items()
        if port
    }


def of_venv(venv: str | None) -> dict[str, str]:
    """What puts the commands of a virtual environment first; without one, the system's."""
    values = {"PATH": _path(venv)}
    return {**values, "VIRTUAL_ENV": venv} if venv else values


def _path(venv: str | None) -> str:
    # base_prefix last: labctl's own Python, without labctl's packages, where the system brings none
    return ":".join([*([f"{venv}/bin"] if venv else []), _SYSTEM_PATH, f"{sys.base_prefix}/bin"])
