"""What the stand-in takes for a memory pool is what a real TensorRT takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.standin_tensorrt import make_tensorrt

real = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
SIZES = [1 << 30, 3 << 30, (1 << 30) + 4096, 4096, 2048]


def taken(trt: Any, logger: Any, pool: str, size: int) -> bool:
    config = trt.Builder(logger).create_builder_config()
    kind = getattr(trt.MemoryPoolType, pool)
    config.set_memory_pool_limit(kind, size)
    return bool(config.get_memory_pool_limit(kind) == size)


class Silent(real.ILogger):  # type: ignore[misc]
    def __init__(self) -> None:
        real.ILogger.__init__(self)

    def log(self, severity: Any, message: str) -> None:
        pass


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pool", ["WORKSPACE", "TACTIC_DRAM"])
def test_a_pool_takes_the_same_sizes(pool: str, size: int) -> None:
    standin = make_tensorrt("10.3.0")
    logger = standin.Logger(standin.ILogger.INTERNAL_ERROR)
    assert taken(standin, logger, pool, size) == taken(real, Silent(), pool, size)
