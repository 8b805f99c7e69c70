"""A lab's health check as Kubernetes' probes: startup gives it time, readiness opens it, liveness restarts it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_READY_PERIOD_S, _LIVE_PERIOD_S = 2, 20
_TIMEOUT_S, _COMMAND_TIMEOUT_S = 3, 10


def probes(check: Mapping[str, Any] | None, ports: Mapping[str, int], *, revive: bool) -> dict[str, Any]:
    """The probes of a container; none without a check. `revive`: one that does not come, or stops answering, is started anew.

    What is not revived goes on as it is, for its learner to see why.
    """
    if check is None:
        return {}
    asked = {**_ask(check, ports), "timeoutSeconds": _COMMAND_TIMEOUT_S if check["command"] else _TIMEOUT_S}
    period_s = max(1, round(float(check["interval"])))
    tries = max(1, math.ceil(float(check["timeout"]) / period_s))
    if not revive:
        return {"readinessProbe": {**asked, "periodSeconds": period_s}}
    return {
        "startupProbe": {**asked, "periodSeconds": period_s, "failureThreshold": tries},
        "readinessProbe": {**asked, "periodSeconds": max(_READY_PERIOD_S, period_s)},
        "livenessProbe": {**asked, "periodSeconds": max(_LIVE_PERIOD_S, period_s), "failureThreshold": 6},
    }


def _ask(check: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    if check["command"]:
        return {"exec": {"command": list(check["command"])}}
    port = ports[check["port"] or next(iter(ports))]
    return {"httpGet": {"path": check["http"], "port": port}} if check["http"] else {"tcpSocket": {"port": port}}
