from __future__ import annotations

from typing import Any

import pytest

from ssd_edge.backends.tensorrt.module import Listener, start_tensorrt
from ssd_edge.core.errors import DeviceError
from tests.engines.standin_tensorrt import RELEASES, make_tensorrt


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_cuda_that_does_not_start_is_named_with_what_tensorrt_said(version: str, kind: str) -> None:
    trt = make_tensorrt(version, cuda_problem=35)
    with pytest.raises(DeviceError) as raised:
        start_tensorrt(getattr(trt, kind), Listener(trt), f"tensorrt {version}")
    said = str(raised.value)
    assert said.startswith(
        f"tensorrt {version} cannot start: got CUDA initialization failure with error: 35; wanted a GPU"
    )
    assert said.endswith("Install or update the driver; see: ssd-edge doctor")


@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_what_starts_is_given_back(kind: str) -> None:
    trt = make_tensorrt("10.3.0")
    assert isinstance(start_tensorrt(getattr(trt, kind), Listener(trt), "tensorrt"), getattr(trt, kind))


def test_where_nothing_is_said_the_bindings_are_quoted() -> None:
    def nothing(logger: Any) -> Any:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    listener = Listener(make_tensorrt("10.3.0"))
    with pytest.raises(DeviceError, match="got pybind11::init"):
        start_tensorrt(nothing, listener, "tensorrt")
    with pytest.raises(DeviceError, match="got no message"):
        start_tensorrt(lambda logger: None, listener, "tensorrt")
