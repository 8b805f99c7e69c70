"""safetensors files, read without torch and without trusting them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.checks.base import Unmet
from labctl.checks.documents import read_whole
from labctl.target import Target

if TYPE_CHECKING:
    import numpy as np

MAX_HEADER_BYTES = 32 * 1024 * 1024
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_BF16_EXPONENT, _BF16_MAGNITUDE = 0x7F80, 0x7FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A floating-point tensor. `bits` are its values, except BF16, for which numpy has no type: there the raw 16 bits."""

    shape: tuple[int, ...]
    dtype: str
    bits: np.ndarray[Any, Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        import numpy as np

        if self.dtype == "BF16":
            return not bool(np.any((self.bits & _BF16_EXPONENT) == _BF16_EXPONENT))
        return bool(np.isfinite(self.bits).all())

    def is_zero(self) -> bool:
        """Whether every value is 0 or -0."""
        return not bool((self.bits & _BF16_MAGNITUDE if self.dtype == "BF16" else self.bits).any())


def read_tensors(target: Target, path: str, max_bytes: int) -> dict[str, Tensor]:
    """Every tensor of a safetensors file by name. Raises Unmet for any other file, or for values that are no floats."""
    from safetensors import SafetensorError, deserialize

    if not path.startswith("/") and any(info.size_bytes > max_bytes for info in target.find(path)):
        raise Unmet(f"{path} is larger than the {max_bytes} bytes that are looked at")  # before that much is read
    data = read_whole(target, path, max_bytes)
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Unmet(f"{path} is not a whole safetensors file: {error}") from None
    return {name: _tensor(f"{name} in {path}", entry) for name, entry in entries}


def count_parameters(target: Target, folder: str) -> int:
    """Parameters of the model in `folder`, from the headers of its safetensors files: no weight is read.

    FileNotFoundError when there is none.
    """
    return sum(_count(target, f"{folder}/{name}") for name in _shards(target, folder))


def _tensor(name: str, entry: Mapping[str, Any]) -> Tensor:
    import numpy as np

    dtype = entry["dtype"]
    if dtype not in _NUMPY:
        raise Unmet(f"{name} is of type {dtype}; wanted one of {', '.join(_NUMPY)}")
    bits = np.frombuffer(entry["data"], dtype=_NUMPY[dtype])
    return Tensor(shape=tuple(entry["shape"]), dtype=dtype, bits=bits)


def _shards(target: Target, folder: str) -> list[str]:
    try:
        index = json.loads(target.read(f"{folder}/model.safetensors.index.json", max_bytes=MAX_HEADER_BYTES))
        return sorted({str(name) for name in index["weight_map"].values()})
    except FileNotFoundError:
        return ["model.safetensors"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unmet(f"{folder}/model.safetensors.index.json is no index of weights: {error}") from None


def _count(target: Target, path: str) -> int:
    """The format: 8 bytes little-endian length, then that much JSON: name → {dtype, shape, data_offsets}."""
    start = target.read(path, max_bytes=8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 0 < length <= MAX_HEADER_BYTES:
        raise Unmet(f"{path} is not a safetensors file: its header would have {length} bytes")
    try:
        header = json.loads(target.read(path, max_bytes=8 + length)[8:])
        return sum(math.prod(map(int, entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unmet(f"{path} has a header that cannot be read: {error}") from None
