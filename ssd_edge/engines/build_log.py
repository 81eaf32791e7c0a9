"""TensorRT's messages during a build: all in a file next to the engine, important ones in the log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.backends.tensorrt.layers import EngineLayer, layers_path, read_layers, save_layers
from ssd_edge.backends.tensorrt.module import Listener
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import written_beside
from ssd_edge.core.log import log
from ssd_edge.engines.builder import Builder

LOG_SUFFIX = ".messages.log"  # a plain .log may be the user's own, to which this very command is redirected
_ABOUT_DLA = re.compile(r"\bDLA\b|GPU fallback|Missing scale", re.IGNORECASE)
_SHOWN = 20


def log_path(engine: Path) -> Path:
    """Return ``<engine>.messages.log`` beside the engine."""
    return engine.with_suffix(LOG_SUFFIX)


def keep_log(engine: Path, builder: Builder, *, for_dla: bool) -> None:
    """Write what the builder's runtime said, in the place of what it said last time, and say how much that is.

    A build has its log whether it gave an engine or failed. For a DLA, what it does not run is said here too. A log
    that cannot be written costs no engine.
    """
    listener = builder.messages
    if listener is None:
        return
    path = log_path(engine)
    try:
        _write(
            path, listener, f"{builder.runtime} {builder.runtime_version} on {builder.device}, building {engine.name}"
        )
    except (InputError, OSError) as error:
        log.info(f"the messages of TensorRT cannot be stored: {error}")
    else:
        if listener.warnings or listener.errors:
            log.info(f"TensorRT gave {_counted(listener)}: {path}")
    if for_dla:
        _tell(listener.warnings)


def keep_layers(engine: Path, engine_digest: str, *, for_dla: bool) -> None:
    """Write beside the engine what TensorRT made of each layer, where it can be asked: on the GPU that runs it."""
    try:
        layers = read_layers(engine)
    except SsdEdgeError:  # `inspect` says why
        return
    save_layers(engine, engine_digest, layers)
    counts = Counter(layer.precision for layer in layers)
    listed = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    log.info(f"{len(layers)} layers ({listed}): {layers_path(engine)}")
    if for_dla:
        log.info(f"of these layers, {count_on_dla(layers)}")


def count_on_dla(layers: Sequence[EngineLayer]) -> str:
    """Return in words how many layers of an engine run on the DLA."""
    counts = Counter("DLA" in layer.kind.upper() for layer in layers)
    return f"{counts[True]} run on the DLA, each a whole part of the graph, and {counts[False]} on the GPU"


def _write(path: Path, listener: Listener, title: str) -> None:
    lines = [f"error: {message}" for message in listener.errors] + [
        f"warning: {message}" for message in listener.warnings
    ]
    if not lines:
        path.unlink(missing_ok=True)
        return
    with written_beside(path) as partial:
        partial.write_text("\n".join([title, *lines]) + "\n", encoding="utf-8")


def _counted(listener: Listener) -> str:
    kinds = ((len(listener.warnings), "warning"), (len(listener.errors), "error"))
    return " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in kinds if count)


def _tell(warnings: Sequence[str]) -> None:
    """Say which warnings are about what the DLA leaves to the GPU; a few, as there may be one for each layer."""
    found = [message for message in warnings if _ABOUT_DLA.search(message)]
    for message in found[:_SHOWN]:
        log.info(f"tensorrt: {message}")
    if len(found) > _SHOWN:
        log.info(f"and {len(found) - _SHOWN} more messages about the DLA")
