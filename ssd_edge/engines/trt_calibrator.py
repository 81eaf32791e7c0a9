"""The calibrator of TensorRT's implicit INT8 (up to 10.x), as a DLA needs it: it hands over a cache, not pictures."""

from __future__ import annotations

from typing import Any

from ssd_edge.core.errors import InputError


def refuse_without_calibrators(trt: Any, *, for_dla: bool) -> None:
    """Raise InputError where a release has no calibrators any more."""
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        raise InputError(
            f"TensorRT {trt.__version__} has no calibration caches",
            do="A DLA runs in FP16 with it: build --fp16 --dla 0" if for_dla else "Leave out --implicit.",
        )


def make_calibrator(trt: Any, cache: bytes, *, for_dla: bool) -> Any:
    """Return an ``IInt8EntropyCalibrator2`` that answers with ``cache``.

    Raises:
        InputError: this release has no calibrators any more.
    """
    refuse_without_calibrators(trt, for_dla=for_dla)

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)  # TensorRT insists on this very call

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> None:  # noqa: ARG002 - TensorRT's signature
            return None  # were the cache refused, there would be no pictures to fall back to

        def read_calibration_cache(self) -> bytes:
            return cache

        def write_calibration_cache(self, data: Any) -> None:
            """Keep nothing: the table is where the cache came from."""

    return Calibrator()
