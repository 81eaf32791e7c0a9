"""The options of ``build`` that are TensorRT's, with a device profile's values where nothing is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssd_edge.core.errors import InputError

if TYPE_CHECKING:
    from ssd_edge.engines.options import TrtOptions


def trt_options(
    device: str | None,
    *,
    target: str,
    batch: str,
    workspace_gib: float | None,
    level: int | None,
    dla: int | None,
    implicit: bool,
    compute_capabilities: str | None,
    version_compatible: bool,
    hardware_compatible: bool,
) -> TrtOptions:
    """Return the options, with a device profile's values where nothing is given.

    Raises:
        InputError: one is out of range or not understood.
    """
    from ssd_edge.backends.tensorrt.module import TENSORRT_RTX
    from ssd_edge.engines.boards import DeviceProfile, load_profile
    from ssd_edge.engines.options import Batch, TrtOptions

    is_rtx = target == TENSORRT_RTX  # TensorRT itself builds for the GPU that it runs on
    profile = load_profile(device) if device else DeviceProfile("")
    return TrtOptions(
        batch=Batch.parse(batch),
        workspace_gib=profile.workspace_gib if workspace_gib is None else workspace_gib,
        level=profile.opt_level if level is None else level,
        dla=dla,
        implicit=implicit,
        compute_capabilities=_capabilities(compute_capabilities) or (profile.compute_capabilities if is_rtx else ()),
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
    )


def _capabilities(text: str | None) -> tuple[int, ...]:
    parts = [part.strip().replace(".", "") for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise InputError("--compute-capability is not understood", got=repr(text), wanted="numbers as in 86,120")
    return tuple(dict.fromkeys(int(part) for part in parts))
