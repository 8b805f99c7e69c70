"""How fast the GPUs of a host reach each other, asked of the driver pair by pair."""

from __future__ import annotations

from itertools import combinations

TYPE_CHECKING = False  # see labctl.gpus.nvml
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_LEVELS = {0: "board", 10: "switch", 20: "switches", 30: "bridge", 40: "node", 50: "system"}
"""nvmlGpuTopologyLevel_t: internal, single, multiple, host bridge, node, system."""


def links(nvml: ModuleType, handles: dict[int, Any]) -> list[list[Any]]:
    """Two indexes and a level for each pair, once. A pair of which the driver says nothing is left out."""
    found = ([a, b, _level(nvml, handles[a], handles[b])] for a, b in combinations(sorted(handles), 2))
    return [link for link in found if link[2] is not None]


def _level(nvml: ModuleType, a: Any, b: Any) -> str | None:
    try:
        if nvml.nvmlDeviceGetP2PStatus(a, b, nvml.NVML_P2P_CAPS_INDEX_NVLINK) == nvml.NVML_P2P_STATUS_OK:
            return "nvlink"
    except nvml.NVMLError:
        pass  # a driver without the call, or a GPU without NVLink: the bus is left
    try:
        return _LEVELS.get(nvml.nvmlDeviceGetTopologyCommonAncestor(a, b))
    except nvml.NVMLError:
        return None
