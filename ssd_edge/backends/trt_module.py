"""Finds TensorRT or TensorRT-RTX; what is asked of them is what they have, never which version they are."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from ssd_edge.core.errors import MissingPackageError
from ssd_edge.core.graph import NMS_OP

if TYPE_CHECKING:
    import tensorrt

TENSORRT, TENSORRT_RTX = "tensorrt", "tensorrt-rtx"
NMS_OPTION, NMS_PLUGIN = "nms", "plugin"  # in a manifest's options: what the builder made of the NMS node
_MODULES = {TENSORRT: ("tensorrt",), TENSORRT_RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings")}
_INSTALL = {
    TENSORRT: "ssd-edge doctor names the command that installs the one for this machine.",
    TENSORRT_RTX: "Install it: pip install 'ssd-edge[rtx]'",
}


def is_installed(target: str) -> bool:
    """Tell whether a module for the target can be found; it is not imported. A folder of type stubs is none."""
    specs = (importlib.util.find_spec(name) for name in _MODULES[target])
    return any(spec is not None and spec.loader is not None for spec in specs)


def load_tensorrt(target: str) -> Any:
    """Return the module of a target, whose calls are those of ``tensorrt``.

    Raises:
        MissingPackageError: it is not installed, or cannot be imported.
    """
    problems: list[ImportError | OSError] = []
    for name in _MODULES[target]:
        try:
            module = importlib.import_module(name)
            if hasattr(module, "Builder") or hasattr(module, "Runtime"):
                return module
        except (ImportError, OSError) as error:
            problems.append(error)
    raise MissingPackageError(
        f"{target} is not installed", got="; ".join(map(str, problems)) or "no such module", do=_INSTALL[target]
    ) from (problems[-1] if problems else None)


def plugin_names(trt: Any, logger: tensorrt.ILogger) -> frozenset[str]:
    """Initialise the plugin library and return what it registers; nothing where there is no registry."""
    if not hasattr(trt, "init_libnvinfer_plugins"):
        return frozenset()
    trt.init_libnvinfer_plugins(logger, "")
    registry = trt.get_plugin_registry()
    # plugin_creator_list went in TensorRT 11; all_creators came with 10.
    creators = registry.all_creators if hasattr(registry, "all_creators") else registry.plugin_creator_list
    return frozenset(creator.name for creator in creators)


def has_nms_plugin(trt: Any, logger: tensorrt.ILogger) -> bool:
    """Tell whether the NMS node can be TensorRT's own plugin."""
    return NMS_OP in plugin_names(trt, logger)
