"""ONNX to a TensorRT or TensorRT-RTX engine: the one file that knows how their releases differ, from 8.5 to 11.

It asks for what a release has. Weak typing, with its precision flags and calibrators, is what 8.x has; from 9.0 on a
network can be strongly typed, and then the ONNX says in which type everything runs; in 11 and RTX it is the only way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.trt_module import NMS_OPTION, NMS_PLUGIN, TENSORRT_RTX, has_nms_plugin, load_tensorrt
from ssd_edge.core.errors import ArtefactError, DeviceError, InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.progress import Progress, silent
from ssd_edge.engines.nms_lowering import inline_function, strip_function
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.trt_calibrator import make_calibrator
from ssd_edge.engines.trt_log import advice_for, make_logger
from ssd_edge.engines.trt_progress import make_monitor

if TYPE_CHECKING:
    import tensorrt

_GIB = 1 << 30


def quiet(message: str) -> None:
    """Take a message and say nothing."""


class TrtBuilder:
    """Builds engines with the TensorRT that is installed here.

    Args:
        target: ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8-fp16``: what the ONNX holds.
        options: see :class:`~ssd_edge.engines.options.TrtOptions`.
        timing_cache: file in which TensorRT keeps what it measured; builds after the first are much quicker.
        calibration: for DLA, which takes no Q/DQ: makes the text cache for a version of TensorRT.
        told: called with each error that TensorRT prints.

    Attributes:
        target, precision, runtime, runtime_version, device, batch, options: what the manifest says of the engine.

    Raises:
        MissingPackageError: it is not installed.
        DeviceError: TensorRT needs a GPU, and there is none.
        InputError: the installed release cannot do what the options ask for.
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
        self._trt = load_tensorrt(target)
        self._logger = make_logger(self._trt, told)
        self._options = options
        self._timing_cache = None if target == TENSORRT_RTX else timing_cache  # RTX times kernels on the device
        self._calibration = calibration
        self.target = self.runtime = target
        self.precision = precision
        self.runtime_version = str(self._trt.__version__)
        self.batch = options.batch.sizes
        self.device = self._device()
        self.has_nms_plugin = has_nms_plugin(self._trt, self._logger)
        # An engine with the plugin is refused by name where the plugin is gone.
        self.options = {**options.identity, **({NMS_OPTION: NMS_PLUGIN} if self.has_nms_plugin else {})}

    def build(self, model: onnx.ModelProto, engine: Path, progress: Progress = silent) -> None:
        """Write the engine of a lowered model, its BatchedNMS node turned into what this release has for it.

        Raises:
            ArtefactError: TensorRT cannot parse or build it; its own messages are in the error.
        """
        builder: tensorrt.Builder = self._trt.Builder(self._logger)
        network, parser = self.parse(builder, model)
        config = self._config(builder, network, progress)
        plan = builder.build_serialized_network(network, config)
        del parser  # owns the weights that the network points to
        if plan is None:
            raise self._failure("cannot build the network", self._logger.errors)
        engine.write_bytes(memoryview(plan))
        self._keep_timing_cache(config)

    def parse(
        self, builder: tensorrt.Builder, model: onnx.ModelProto
    ) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
        """Return the network of a model, and the parser, which must live as long.

        Raises:
            ArtefactError: TensorRT cannot parse it.
        """
        network = builder.create_network(self._network_flags())
        parser: tensorrt.OnnxParser = self._trt.OnnxParser(network, self._logger)
        lowered = strip_function(model) if self.has_nms_plugin else inline_function(model)
        parsed: Any = parser.parse(lowered.SerializeToString())  # the stubs say None
        if not parsed:
            faults = [str(parser.get_error(number)) for number in range(parser.num_errors)]
            raise self._failure("cannot parse the ONNX", faults or self._logger.errors)
        return network, parser

    @property
    def is_weakly_typed(self) -> bool:
        """Whether flags choose the precision: before 9.0, and for DLA's calibration cache."""
        has_strong = hasattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
        return not has_strong or self._calibration is not None

    def _network_flags(self) -> int:
        known = self._trt.NetworkDefinitionCreationFlag
        wanted = ["EXPLICIT_BATCH"] if self.is_weakly_typed else ["EXPLICIT_BATCH", "STRONGLY_TYPED"]
        # Their numbers change between releases: only the names are to be trusted.
        return sum(1 << int(getattr(known, name)) for name in wanted if hasattr(known, name))

    def _config(
        self, builder: tensorrt.Builder, network: tensorrt.INetworkDefinition, progress: Progress
    ) -> tensorrt.IBuilderConfig:
        config = builder.create_builder_config()
        self._set_limits(config)
        self._set_precision(config)
        self._set_compatibility(config)
        self._set_device(builder, config)
        self._load_timing_cache(config)
        self._set_shapes(builder, network, config)
        if hasattr(self._trt, "IProgressMonitor") and hasattr(config, "progress_monitor"):
            config.progress_monitor = make_monitor(self._trt, progress)
        return config

    def _set_limits(self, config: tensorrt.IBuilderConfig) -> None:
        options = self._options
        config.profiling_verbosity = self._trt.ProfilingVerbosity.DETAILED  # what `inspect` shows of the engine
        if options.workspace_gib is not None:
            config.set_memory_pool_limit(self._trt.MemoryPoolType.WORKSPACE, int(options.workspace_gib * _GIB))
        if options.level is not None:
            self._require(hasattr(config, "builder_optimization_level"), "--opt-level")
            config.builder_optimization_level = options.level

    def _set_precision(self, config: tensorrt.IBuilderConfig) -> None:
        if not self.is_weakly_typed:
            return
        if self._calibration is not None:  # before the flags: a release without calibrators has none of them either
            config.int8_calibrator = make_calibrator(self._trt, self._calibration(self.runtime_version))
        wanted = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",), "int8-fp16": ("INT8", "FP16")}[self.precision]
        for name in wanted:
            config.set_flag(getattr(self._trt.BuilderFlag, name))

    def _set_compatibility(self, config: tensorrt.IBuilderConfig) -> None:
        flags = self._trt.BuilderFlag
        if self._options.version_compatible:
            self._require(hasattr(flags, "VERSION_COMPATIBLE"), "--version-compatible")
            config.set_flag(flags.VERSION_COMPATIBLE)
        if self._options.hardware_compatible:
            self._require(hasattr(config, "hardware_compatibility_level"), "--hardware-compatible")
            config.hardware_compatibility_level = self._trt.HardwareCompatibilityLevel.AMPERE_PLUS
        wanted = self._options.compute_capabilities
        if wanted:
            self._require(hasattr(config, "num_compute_capabilities"), "--compute-capability")
            rtx: Any = config  # the stubs are TensorRT's, which has no such attributes
            rtx.num_compute_capabilities = len(wanted)
            for number, capability in enumerate(wanted):
                rtx.set_compute_capability(self._compute_capability(capability), number)

    def _compute_capability(self, number: int) -> Any:
        known = self._trt.ComputeCapability
        found = getattr(known, f"SM{number}", None)
        if found is None:
            names = sorted(name.removeprefix("SM") for name in dir(known) if name.startswith("SM"))
            raise InputError(
                f"{self.target} {self.runtime_version} builds for no GPU of compute capability {number}",
                wanted=", ".join(names),
            )
        return found

    def _set_device(self, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig) -> None:
        core = self._options.dla
        if core is None:
            return
        if core >= builder.num_DLA_cores:
            raise DeviceError(
                f"there is no DLA core {core}",
                got=f"{builder.num_DLA_cores} cores, as {self.target} {self.runtime_version} sees them",
                do="Build without --dla.",
            )
        config.default_device_type = self._trt.DeviceType.DLA
        config.DLA_core = core
        config.set_flag(self._trt.BuilderFlag.GPU_FALLBACK)

    def _set_shapes(
        self, builder: tensorrt.Builder, network: tensorrt.INetworkDefinition, config: tensorrt.IBuilderConfig
    ) -> None:
        images: Any = network.get_input(0)  # its Dims are a tuple, and tuples are Dims
        height, width, channels = tuple(images.shape)[1:]
        if not hasattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
            self._share_profile(config, images)
        profile: Any = builder.create_optimization_profile()
        profile.set_shape(images.name, *((count, height, width, channels) for count in self.batch))
        config.add_optimization_profile(profile)

    def _share_profile(self, config: tensorrt.IBuilderConfig, images: Any) -> None:
        """Let the runtime's execution contexts, of which it has several, use the one profile of a dynamic engine.

        From 9.0 on they always may. 8.6 must be told; 8.5 never lets them, where only a fixed size helps.
        """
        sharing = getattr(self._trt.PreviewFeature, "PROFILE_SHARING_0806", None)
        if sharing is not None:
            config.set_preview_feature(sharing, True)
            return
        least, _, most = self.batch
        if least != most:
            raise InputError(
                f"{self.target} {self.runtime_version} cannot run several frames at once with --batch MIN:OPT:MAX",
                got=":".join(map(str, self.batch)),
                do=f"Build for one size: --batch {most}",
            )
        images.shape = (most, *tuple(images.shape)[1:])

    def _load_timing_cache(self, config: tensorrt.IBuilderConfig) -> None:
        if self._timing_cache is None:
            return
        kept = self._timing_cache.read_bytes() if self._timing_cache.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(kept), False)

    def _keep_timing_cache(self, config: tensorrt.IBuilderConfig) -> None:
        if self._timing_cache is None:
            return
        cache = config.get_timing_cache()
        if cache is not None:
            with written_beside(self._timing_cache) as partial:
                partial.write_bytes(memoryview(cache.serialize()))

    def _device(self) -> str:
        """Return what the engine will be bound to: this GPU, or those that RTX is asked to build for."""
        if self.target == TENSORRT_RTX:
            chosen = self._options.compute_capabilities
            return "+".join(f"sm_{number}" for number in chosen) or "sm_80 and later"
        found = describe_gpu()
        if not isinstance(found, dict):
            raise DeviceError(
                "TensorRT builds on the GPU that shall run the engine",
                got=found or "no CUDA driver on this machine",
                do="Build on the device itself, or for --target onnxruntime; see: ssd-edge doctor",
            )
        major, minor = found["compute_capability"]
        return f"{found['name']} sm_{major}{minor}"

    def _require(self, has: bool, option: str) -> None:
        if not has:
            raise InputError(f"{self.target} {self.runtime_version} has no {option}", do=f"Build without {option}.")

    def _failure(self, what: str, messages: list[str]) -> ArtefactError:
        return ArtefactError(
            f"{self.target} {self.runtime_version} {what}",
            got="; ".join(messages[:3]) or "no message",
            do=advice_for(messages),
        )
