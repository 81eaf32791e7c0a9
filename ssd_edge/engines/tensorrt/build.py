"""ONNX to a TensorRT or TensorRT-RTX engine, with whatever release is installed, from 8.5 to 11.

These files, ``trt_*.py``, are the one adapter that knows how the releases differ, and it asks for what a release has.
Weak typing, with its precision flags and calibrators, is what 8.x has; from 9.0 on a network can be strongly typed, and
then the ONNX says in which type everything runs; in 11 and RTX it is the only way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ssd_edge.backends.tensorrt.module import (
    NMS_OPTION,
    NMS_PLUGIN,
    Listener,
    has_nms_plugin,
    load_tensorrt,
    quiet,
    start_tensorrt,
)
from ssd_edge.core.files import bytes_digest
from ssd_edge.core.interruptible import run_interruptible
from ssd_edge.core.progress import Progress, silent
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.tensorrt.callbacks import make_calibrator, make_monitor, refuse_without_calibrators
from ssd_edge.engines.tensorrt.config import refuse_range_of_sizes, set_options, set_shapes
from ssd_edge.engines.tensorrt.network import TURING, parse_network, set_precision_flags
from ssd_edge.engines.tensorrt.release import Release, bound_to, is_expected
from ssd_edge.engines.tensorrt.timing_cache import TimingCache

if TYPE_CHECKING:
    import tensorrt

_PATIENCE_S = 5.0  # RTX heeded a stop within 1.3 s, measured on SSD300-VGG16


class TrtBuilder:
    """Builds engines with the TensorRT that is installed here.

    Args:
        target: ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8-fp16``: what the ONNX holds.
        options: see :class:`~ssd_edge.engines.options.TrtOptions`.
        timing_cache: file in which TensorRT keeps what it measured; builds after the first are much quicker.
        calibration: for DLA, which takes no Q/DQ: makes the text cache for a version of TensorRT.
        told: called with each error that TensorRT prints, and with what was not to be had.

    Attributes:
        target, precision, runtime, runtime_version, device, batch: what the manifest says of the engine.
        heard: what TensorRT said so far.

    Raises:
        MissingPackageError: it is not installed.
        DeviceError: TensorRT needs a GPU, and there is none.
    """

    def __init__(
        self,
        target: str,
        precision: str,
        options: TrtOptions,
        *,
        timing_cache: Path | None = None,
        calibration: Callable[[str], bytes] | None = None,
        told: Callable[[str], None] = quiet,
    ) -> None:
        self._release = Release(load_tensorrt(target), target)
        ignored = partial(is_expected, without_gpu=self._release.is_rtx)
        self.heard, self._told = Listener(self._release.trt, ignored=ignored), told
        self._logger = self.heard.logger
        self._options = options
        # RTX times kernels on the device.
        kept = None if self._release.is_rtx else timing_cache
        self._timing = TimingCache(kept, self.heard, told) if kept is not None else None
        self._calibration = calibration
        self.target = self.runtime = target
        self.precision = precision
        self.runtime_version = self._release.version
        self.batch = options.batch.sizes
        self.device = bound_to(self._release, options.compute_capabilities)
        # What shall run on later releases must do without a plugin: 11 has it no more.
        self.takes_nms_plugin = not options.version_compatible and has_nms_plugin(self._release.trt, self._logger)

    @property
    def options(self) -> dict[str, str]:
        """What makes one engine of a graph another; one with the plugin is refused by name where that is gone."""
        plugin = {NMS_OPTION: NMS_PLUGIN} if self.takes_nms_plugin else {}
        cache = self._calibration(self.runtime_version) if self._calibration is not None else b""
        return {**self._options.identity, **plugin, **({"calibration_cache": bytes_digest(cache)} if cache else {})}

    @property
    def is_weakly_typed(self) -> bool:
        """Whether flags choose the precision: before 9.0, and for DLA's calibration cache."""
        return not self._release.has_strong_types or self._calibration is not None

    @property
    def may_keep_float(self) -> bool:
        """Whether single layers can be left in float: by the types in the ONNX, as no flag promises it."""
        is_typed = not (self.is_weakly_typed and "fp16" in self.precision)
        return self.precision != "fp32" and self._calibration is None and is_typed

    def check(self) -> None:
        """See that the release can do what the options ask for, before any work for it is done.

        Raises:
            InputError: it cannot.
            DeviceError: there is no such DLA core, or TensorRT cannot have CUDA.
        """
        builder = self._start()
        set_options(self._release, builder, builder.create_builder_config(), self._options)
        if self._calibration is not None:
            refuse_without_calibrators(self._release.trt, for_dla=self._options.dla is not None)
        refuse_range_of_sizes(self._release, self.batch)

    def build(self, model: onnx.ModelProto, engine: Path, progress: Progress = silent) -> None:
        """Write the engine. Ctrl-C ends the build where the release can stop it, and leaves it behind where not.

        Raises:
            ArtefactError: TensorRT cannot parse or build it; the message quotes what TensorRT said.
            InputError: the release cannot do what the options ask for.
            DeviceError: there is no such DLA core, or TensorRT cannot have CUDA.
        """
        with self.heard.telling(self._told):
            plan = self._plan(model, progress)
        engine.write_bytes(memoryview(plan))

    def parse(
        self, builder: tensorrt.Builder, model: onnx.ModelProto
    ) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
        """Return the network of a model, and the parser, which must live as long.

        Raises:
            ArtefactError: TensorRT cannot parse it.
        """
        return parse_network(
            self._release,
            builder,
            model,
            self.heard,
            may_keep_float=self.may_keep_float,
            weakly_typed=self.is_weakly_typed,
            nms_plugin=self.takes_nms_plugin,
            for_turing=TURING in self._options.compute_capabilities,
        )

    def _plan(self, model: onnx.ModelProto, progress: Progress) -> Any:
        """Return the serialised engine. What was measured is kept first: it took the time, and no engine may come."""
        builder = self._start()
        network, parser = self.parse(builder, model)
        stop = threading.Event()
        config = self._config(builder, network, progress, stop)

        def work() -> tuple[Any, object]:
            return builder.build_serialized_network(network, config), parser  # owns the weights of the network

        can_stop = getattr(config, "progress_monitor", None) is not None
        plan, _ = run_interruptible(work, stop, patience_s=_PATIENCE_S if can_stop else 0.0)
        if self._timing is not None:
            self._timing.keep(config)
        if plan is None:
            what = "cannot build the network"
            raise self._release.failure(what, self.heard.errors, may_keep_float=self.may_keep_float)
        return plan

    def _start(self) -> tensorrt.Builder:
        builder: tensorrt.Builder = start_tensorrt(self._release.trt.Builder, self.heard, str(self._release))
        return builder

    def _config(
        self,
        builder: tensorrt.Builder,
        network: tensorrt.INetworkDefinition,
        progress: Progress,
        stop: threading.Event,
    ) -> tensorrt.IBuilderConfig:
        release, trt = self._release, self._release.trt
        config = builder.create_builder_config()
        if self.is_weakly_typed:
            if self._calibration is not None:  # first: a release without calibrators has no such flags either
                cache, for_dla = self._calibration(self.runtime_version), self._options.dla is not None
                config.int8_calibrator = make_calibrator(trt, cache, for_dla=for_dla)
            set_precision_flags(release, config, self.precision)
        set_options(release, builder, config, self._options)
        if self._timing is not None:
            self._timing.load(config)
        set_shapes(release, builder, network, config, self.batch)
        if hasattr(trt, "IProgressMonitor") and hasattr(config, "progress_monitor"):
            config.progress_monitor = make_monitor(trt, progress, stop)
        return config
