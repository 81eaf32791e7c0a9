"""TensorRT's messages in terms of what to do: which layer each is about, and what helps."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NO_KERNEL = r"[Cc]ould not find any impl|no runners|no implementation"
# What TensorRT prints, and what helps. The texts are those of its own messages, 8.5 to 11 and RTX.
_ADVICE = (
    (r"for Turing", "Leave 75 out of --compute-capability."),
    (r"within workspace limit|insufficient workspace", "Raise --workspace."),
    (r"[Oo]ut ?[Oo]f ?[Mm]emory|insufficient memory|exceeds? the limit", "Close other programs, or lower --workspace."),
    (r"K exceeds the maximum", "Export it with fewer candidates: ssd-edge export --max-candidates 3840"),
    (
        r"No importer registered|getPluginCreator|[Pp]lugin .*not (be )?found|(UNSUPPORTED|INVALID)_NODE",
        "Export the model again: ssd-edge export",
    ),
    (r"DLA", "Build without --dla."),  # what it cannot run falls back to the GPU in any case
    (r"profile|kMIN|kOPT|kMAX", "Give --batch as MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX."),
)
_ABOUT_NO_GPU = ("CUDA driver version", "Unable to determine GPU memory")
_LAYER = (
    r"for node (?P<layer>\{ForeignNode\[.*?\]\}|.+?)(?= due to |\.?\)|\.? In |\.?$)",
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


def advice_for(messages: Sequence[str], *, may_keep_float: bool) -> str:
    """Return what to do about TensorRT's errors while it built a network, in which a layer may be kept in float."""
    if any(re.search(_NO_KERNEL, message) for message in messages):
        layer = layer_in(messages)
        if not may_keep_float or not layer:
            return "Raise --workspace, or build in another precision."
        return f"Leave it in float (--keep-float, once for each of its layers: {layer}), or raise --workspace."
    for pattern, do in _ADVICE:
        if any(re.search(pattern, message) for message in messages):
            return do
    return "Report it, with all that TensorRT said and with: ssd-edge doctor --json board.json"


def is_expected(message: str, *, without_gpu: bool) -> bool:
    """Tell what need not be said: that it was stopped, or that there is no GPU, where it builds for another."""
    expected = ("BuildCanceled", *(_ABOUT_NO_GPU if without_gpu else ()))
    return any(text in message for text in expected)


def _ends(found: re.Match[str]) -> str:
    return f"{found[1]} to {found[2]}" if found[2] else found[1]
