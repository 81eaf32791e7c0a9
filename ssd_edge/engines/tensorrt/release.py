"""The release of TensorRT or TensorRT-RTX that builds: what it can do, and what its messages mean for the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.tensorrt.module import TENSORRT_RTX, load_tensorrt
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError
from ssd_edge.engines.builder import NoKernelError

_NO_KERNEL = r"[Cc]ould not find any impl|no runners|no implementation"
_NO_ROOM = r"insufficient workspace|insuf+icient memory on requested size|insufficient to use tactic"
_MORE_ROOM = "Close other programs (on a board the desktop, too), or raise --builder-memory."
# What TensorRT prints, and what helps. The texts are those of its own messages, 8.5 to 11 and RTX.
_ADVICE = (
    (r"for Turing", "Remove 75 from --compute-capabilities."),
    (r"within workspace limit|insufficient workspace", "Raise --builder-memory."),
    (
        r"[Oo]ut ?[Oo]f ?[Mm]emory|insufficient memory|exceeds? the limit",
        "Close other programs, or lower --builder-memory.",
    ),
    (r"K exceeds the maximum", "Export the model with fewer candidates: ssd-edge export --max-candidates 3840"),
    (
        r"No importer registered|getPluginCreator|[Pp]lugin .*not (be )?found|(UNSUPPORTED|INVALID)_NODE",
        "Export the model again: ssd-edge export",
    ),
    (r"DLA", "Build without --dla."),  # what it cannot run falls back to the GPU in any case
    (r"profile|kMIN|kOPT|kMAX", "Give --batch as MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX."),
)
_ABOUT_NO_GPU = ("CUDA driver version", "Unable to determine GPU memory")
_LAYER = (
    # A fused name has brackets of its own, one inside another: w + conv + PWN(PWN(a), b).
    r"for node (?P<layer>\{ForeignNode\[.*?\]\}|(?:[^()]|\((?:[^()]|\([^()]*\))*\))+?)"
    r"(?= due to |\.?\)|\.? In |\.?$)",
    r"(?P<layer>\S+) has no runners",
    r"with name: (?P<layer>.+?) and operator:",
    r"\bI\w+Layer (?P<layer>[^:]+):",
)


def layer_in(messages: Sequence[str]) -> str:
    """Return the layer that TensorRT's errors name first; empty where they name none. A fused one is several."""
    for message in messages:
        for pattern in _LAYER:
            if found := re.search(pattern, message):
                name = found["layer"].strip()
                # A part of the graph that is compiled as one is named by its first and last layer.
                return re.sub(r"^\{ForeignNode\[(.*?)(?:\.\.\.(.*))?\]\}$", _ends, name)
    return ""


def lacks_room(messages: Sequence[str], warnings: Sequence[str]) -> bool:
    """Return whether kernels were passed over for want of memory: then another precision is no remedy.

    TensorRT says that in warnings, and its error is that of a layer without a kernel.
    """
    has_none = any(re.search(_NO_KERNEL, message) for message in messages)
    return has_none and any(re.search(_NO_ROOM, message) for message in (*messages, *warnings))


def advice_for(messages: Sequence[str], *, may_keep_float: bool, warnings: Sequence[str] = ()) -> str:
    """Return what to do about TensorRT's errors while it built a network, in which a layer may be kept in float."""
    if lacks_room(messages, warnings):
        return _MORE_ROOM
    if any(re.search(_NO_KERNEL, message) for message in messages):
        layer = layer_in(messages)
        if not may_keep_float or not layer:
            return "Raise --builder-memory, or build in another precision."
        return f"Keep it in FP32 (--keep-float, once for each of its layers: {layer}), or raise --builder-memory."
    for pattern, do in _ADVICE:
        if any(re.search(pattern, message) for message in messages):
            return do
    return "Please report this with all of TensorRT's messages, and with: ssd-edge doctor --json board.json"


def is_expected(message: str, *, without_gpu: bool) -> bool:
    """Return whether a message needs no report: it was stopped, or there is no GPU and it builds for another."""
    expected = ("BuildCanceled", *(_ABOUT_NO_GPU if without_gpu else ()))
    return any(text in message for text in expected)


def _ends(found: re.Match[str]) -> str:
    return f"{found[1]} to {found[2]}" if found[2] else found[1]


@dataclass(frozen=True)
class Release:
    """A module and the target that it is.

    Attributes:
        trt: ``tensorrt`` or ``tensorrt_rtx``, whatever its release.
        target: ``tensorrt`` or ``tensorrt-rtx``.
    """

    trt: Any
    target: str

    @property
    def version(self) -> str:
        """E.g. ``10.3.0``."""
        return str(self.trt.__version__)

    @property
    def is_rtx(self) -> bool:
        """Whether it builds for GPUs that need not be here, and times kernels where they run."""
        return self.target == TENSORRT_RTX

    @property
    def has_strong_types(self) -> bool:
        """Whether the ONNX can say in which type everything runs: from 9.0 on; from 11 on it is the only way."""
        return hasattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    @property
    def shared_memory(self) -> int:
        """The bytes that GPU and processor share; 0 where the GPU has its own, or is not here."""
        found = None if self.is_rtx else describe_gpu()
        return int(found["memory"]) if isinstance(found, dict) and found["integrated"] else 0

    def __str__(self) -> str:
        return f"{self.target} {self.version}"

    def require(self, has: bool, option: str) -> None:
        """Raise InputError where this release cannot do what an option asks for."""
        if not has:
            raise InputError(f"{self} does not support {option}", do=f"Build without {option}.")

    def failure(
        self, what: str, messages: Sequence[str], *, may_keep_float: bool, warnings: Sequence[str] = ()
    ) -> ArtifactError:
        """Return the error for what TensorRT refuses, with what it said, the layer that it named, and what helps."""
        layer = layer_in(messages)
        sentence = f"{self} {what}, at layer {layer}" if layer else f"{self} {what}"
        said = [*messages[:3], *[warning for warning in warnings if re.search(_NO_ROOM, warning)][:1]]
        got = "; ".join(said) or "no message"
        do = advice_for(messages, may_keep_float=may_keep_float, warnings=warnings)
        if lacks_room(messages, warnings):
            return ArtifactError(f"{sentence}: not enough memory", got=got, do=do)
        if layer and any(re.search(_NO_KERNEL, message) for message in messages):
            return NoKernelError(sentence, layer=layer, got=got, do=do)
        return ArtifactError(sentence, got=got, do=do)


def is_strongly_typed(target: str) -> bool:
    """Return whether the graph says what everything computes in, with the release of a target that is installed.

    Raises:
        MissingPackageError: it is not installed.
    """
    return Release(load_tensorrt(target), target).has_strong_types


def bound_to(release: Release, compute_capabilities: Sequence[int]) -> str:
    """Return this GPU, e.g. ``Orin sm_87``, or the GPUs that TensorRT-RTX is asked to build for.

    Raises:
        DeviceError: TensorRT needs a GPU, and there is none.
    """
    if release.is_rtx:
        return "+".join(f"sm_{number}" for number in compute_capabilities) or "sm_80 and later"
    found = describe_gpu()
    if not isinstance(found, dict):
        raise DeviceError(
            "TensorRT must build on the GPU that will run the engine",
            got=found or "no CUDA driver on this machine",
            do="Build on the device itself, or use --target onnxruntime; see: ssd-edge doctor",
        )
    major, minor = found["compute_capability"]
    return f"{found['name']} sm_{major}{minor}"
