"""IHostMemory and Dims: what TensorRT hands over as values."""

from __future__ import annotations

import ctypes
from typing import Any


class Dims(tuple):  # type: ignore[type-arg]
    """A shape."""

    MAX_DIMS = 8


def host_memory(world: Any, content: bytes) -> Any:
    """Return an IHostMemory: a buffer, and no bytes."""
    kind = type("IHostMemory", (ctypes.c_uint8 * len(content),), {"nbytes": len(content), "dtype": None})
    memory = kind.from_buffer_copy(content)
    memory._owner = world  # keeps it alive as NVIDIA's does its library
    return memory
