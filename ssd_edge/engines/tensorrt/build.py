"""ONNX to a TensorRT or TensorRT-RTX engine, with whatever release is installed, from 8.5 to 11.

The files of this folder are the one adapter that knows how the releases differ, and it asks for what a release has.
Weak typing, with its precision flags and calibrators, is what 8.x has; from 9.0 on a network can be strongly typed, and
then the ONNX says in which type everything runs; in 11 and RTX it is the only way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ssd_edge.backends.tensorrt.module import (
    Listener,
    load_tensorrt,
    plugin_names,
    start_tensorrt,
)
from ssd_edge.core.choices import NmsBody, Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.graph_contract import EFFICIENT_NMS, NMS_OP
from ssd_edge.core.interruptible import run_interruptible
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.core.progress import Progress, silent
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.tensorrt.callbacks import make_calibrator, make_monitor, refuse_without_calibrators
from ssd_edge.engines.tensorrt.config import refuse_range_of_sizes, set_options, set_shapes
from ssd_edge.engines.tensorrt.constraints import hold_float
from ssd_edge.engines.tensorrt.network import TURING, parse_network, set_precision_flags
from ssd_edge.engines.tensorrt.release import Release, bound_to, is_expected
from ssd_edge.engines.tensorrt.timing_cache import TimingCache
from ssd_edge.graph.half_nodes import half_names
from ssd_edge.graph.nms_bodies import LEAST_ROUNDS

if TYPE_CHECKING:
    import tensorrt

BUILDER_VERSION = 5
"""Goes up with every change by which the same graph and options give another engine: the build cache keys by it.

What counts is this folder, and what it takes from :mod:`ssd_edge.backends.tensorrt.module`.
``tests/engines/test_lowering_versions.py`` holds it.
"""
_NO_NMS = "Leave out --nms: the right NMS is then chosen automatically."
_PATIENCE_S = 5.0  # RTX heeded a stop within 1.3 s, measured on SSD300-VGG16


class TrtBuilder:
    """Builds engines with the TensorRT that is installed here; see :class:`~ssd_edge.engines.builder.Builder`.

    Args:
        target: ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8-fp16``: what the ONNX holds.
        options: see :class:`~ssd_edge.engines.options.TrtOptions`.
        rounds: of suppression, where the NMS is neither a plugin nor a loop; see
            :func:`~ssd_edge.graph.nms_bodies.rounds_for`.
        timing_cache: file in which TensorRT keeps what it measured; builds after the first are much quicker.
        report: called with each error that TensorRT prints, and with what was not available; by default logged.

    Attributes:
        precision: of the engine.
        takes_cache: INT8 goes in as a calibration cache, as a DLA takes no Q/DQ.
        nms: what takes the place of the NMS node.

    Raises:
        MissingPackageError: it is not installed.
        DeviceError: TensorRT needs a GPU, and there is none.
    """

    builder_version = BUILDER_VERSION

    def __init__(
        self,
        target: Target,
        precision: Precision,
        options: TrtOptions,
        *,
        rounds: int = LEAST_ROUNDS,
        timing_cache: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.target = Target(target)
        self.runtime = self.target.value
        self._release = Release(load_tensorrt(self.runtime), self.runtime)
        ignored = partial(is_expected, without_gpu=self._release.is_rtx)
        self.messages = Listener(self._release.trt, ignored=ignored)
        self._report = report or self._log
        self._options = options
        # RTX times kernels on the device.
        kept = None if self._release.is_rtx else timing_cache
        self._timing = TimingCache(kept, self.messages, self._report) if kept is not None else None
        self.precision = Precision(precision)
        self.takes_cache = options.takes_cache and self.precision.is_int8
        self.runtime_version = self._release.version
        self.batch = options.batch.sizes
        self.device = bound_to(self._release, options.compute_capabilities)
        self._rounds = rounds
        self._plugins = plugin_names(self._release.trt, self.messages.logger)
        # What must run on later releases must do without a plugin: 11 has it no more.
        has_plugin = NMS_OP in self._plugins and not options.version_compatible
        self.nms = options.nms or (NmsBody.PLUGIN if has_plugin else NmsBody.ROUNDS)

    def _log(self, message: str) -> None:
        log.info(f"{self.target}: {message}")

    @property
    def options(self) -> EngineOptions:
        """Options that distinguish engines of one graph; an engine that needs a missing plugin is rejected by name."""
        nms = f"{self._rounds} rounds" if self.nms is NmsBody.ROUNDS else self.nms.value
        return replace(self._options.noted, nms=nms)

    @property
    def is_weakly_typed(self) -> bool:
        """Whether flags choose the precision: before 9.0, for calibration caches, and for a DLA before 11.

        NVIDIA documents a DLA's builds by the precision flags until these went in 11.0; whether 9 and 10 also take a
        strongly typed network for it is said nowhere.
        """
        is_for_dla = self._options.dla is not None and hasattr(self._release.trt.BuilderFlag, "FP16")
        return not self._release.has_strong_types or self.takes_cache or is_for_dla

    @property
    def may_keep_float(self) -> bool:
        """Whether single layers can be left in float: by the types in the ONNX, as no flag promises it."""
        is_typed = not (self.is_weakly_typed and self.precision.has_fp16)
        return self.precision is not Precision.FP32 and not self.takes_cache and is_typed

    def check(self) -> None:
        """See that the release can do what the options ask for, before any work for it is done.

        Raises:
            InputError: it cannot.
            DeviceError: there is no such DLA core, or TensorRT cannot have CUDA.
        """
        builder = self._start()
        self._check_plugin()
        set_options(self._release, builder, builder.create_builder_config(), self._options)
        if self.takes_cache:
            refuse_without_calibrators(self._release.trt, for_dla=self._options.dla is not None)
        refuse_range_of_sizes(self._release, self.batch)

    def _check_plugin(self) -> None:
        """Raise InputError where the NMS that was chosen is a plugin that cannot be had."""
        wanted = {NmsBody.PLUGIN: NMS_OP, NmsBody.EFFICIENT: EFFICIENT_NMS}.get(self.nms, "")
        if wanted and self._options.version_compatible:
            raise InputError(
                "an engine with --version-compatible cannot use plugins", got=f"--nms {self.nms}", do=_NO_NMS
            )
        if wanted and wanted not in self._plugins:
            raise InputError(f"{self._release} does not have the plugin {wanted}", got=f"--nms {self.nms}", do=_NO_NMS)

    def build(
        self, model: onnx.ModelProto, engine: Path, progress: Progress = silent, *, calibration_cache: bytes = b""
    ) -> None:
        """Write the engine. Ctrl-C ends the build where the release can stop it, and leaves it behind where not.

        Raises:
            ArtifactError: TensorRT cannot parse or build it; the message quotes what TensorRT said.
            InputError: the release cannot do what the options ask for.
            DeviceError: there is no such DLA core, or TensorRT cannot have CUDA.
        """
        with self.messages.reporting(self._report):
            plan = self._plan(model, progress, calibration_cache)
        engine.write_bytes(memoryview(plan))

    def parse(
        self, builder: tensorrt.Builder, model: onnx.ModelProto
    ) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
        """Return the network of a model, and the parser, which must live as long.

        Raises:
            ArtifactError: TensorRT cannot parse it.
        """
        return parse_network(
            self._release,
            builder,
            model,
            self.messages,
            may_keep_float=self.may_keep_float,
            weakly_typed=self.is_weakly_typed,
            nms=self.nms,
            rounds=self._rounds,
            for_turing=TURING in self._options.compute_capabilities,
        )

    def _plan(self, model: onnx.ModelProto, progress: Progress, calibration_cache: bytes) -> Any:
        """Return the serialized engine. What was measured is kept first: it took the time, and no engine may come."""
        builder = self._start()
        network, parser = self.parse(builder, model)
        stop, before = threading.Event(), (len(self.messages.errors), len(self.messages.warnings))
        half = half_names(model) if self.is_weakly_typed and self.precision.has_fp16 else frozenset()
        config = self._config(builder, network, progress, stop, calibration_cache, half)

        def work() -> tuple[Any, object]:
            return builder.build_serialized_network(network, config), parser  # owns the weights of the network

        can_stop = getattr(config, "progress_monitor", None) is not None
        plan, _ = run_interruptible(work, stop, patience_s=_PATIENCE_S if can_stop else 0.0)
        if self._timing is not None:
            self._timing.keep(config)
        if plan is None:
            what = "cannot build the network"
            errors = self.messages.errors[before[0] :] or self.messages.errors
            warnings = self.messages.warnings[before[1] :]
            raise self._release.failure(what, errors, may_keep_float=self.may_keep_float, warnings=warnings)
        return plan

    def _start(self) -> tensorrt.Builder:
        builder: tensorrt.Builder = start_tensorrt(self._release.trt.Builder, self.messages, str(self._release))
        return builder

    def _config(
        self,
        builder: tensorrt.Builder,
        network: tensorrt.INetworkDefinition,
        progress: Progress,
        stop: threading.Event,
        calibration_cache: bytes,
        half: frozenset[str],
    ) -> tensorrt.IBuilderConfig:
        release, trt = self._release, self._release.trt
        config = builder.create_builder_config()
        if self.is_weakly_typed:
            if self.takes_cache:  # first: a release without calibrators has no such flags either
                for_dla = self._options.dla is not None
                config.int8_calibrator = make_calibrator(trt, calibration_cache, for_dla=for_dla)
            set_precision_flags(release, config, self.precision)
            if self.precision.has_fp16:
                for_dla = self._options.dla is not None
                hold_float(trt, network, config, half, prefer=for_dla)
        set_options(release, builder, config, self._options)
        if self._timing is not None:
            self._timing.load(config)
        set_shapes(release, builder, network, config, self.batch)
        if hasattr(trt, "IProgressMonitor") and hasattr(config, "progress_monitor"):
            config.progress_monitor = make_monitor(trt, progress, stop)
        return config
