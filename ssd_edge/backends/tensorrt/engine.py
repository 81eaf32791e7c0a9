"""A TensorRT or TensorRT-RTX engine in memory, by the calls that every release from 8.5 on has: I/O by name only."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ssd_edge.backends.cuda import hold
from ssd_edge.backends.tensorrt.module import (
    Listener,
    is_about_memory,
    load_tensorrt,
    plugin_names,
    start_tensorrt,
)
from ssd_edge.core.choices import NmsBody
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError, SsdEdgeError
from ssd_edge.core.files import written_beside
from ssd_edge.core.graph_contract import EFFICIENT_NMS, INPUT_NAME, NMS_OP, OUTPUT_NAMES
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest

if TYPE_CHECKING:
    import tensorrt


_FREE_MEMORY = "Close other programs, or build the engine with a smaller --batch."
_PLUGINS: Mapping[str, str] = {NmsBody.PLUGIN.value: NMS_OP, NmsBody.EFFICIENT.value: EFFICIENT_NMS}
Failure = TypeVar("Failure", bound=Exception)
# TensorRT's own `nptype` differs between releases.
TYPES: Mapping[str, npt.DTypeLike] = {"UINT8": np.uint8, "INT32": np.int32, "FLOAT": np.float32}
CONTRACT = dict(zip((INPUT_NAME, *OUTPUT_NAMES), ("UINT8", "INT32", "FLOAT", "FLOAT", "FLOAT"), strict=True))


class TrtEngine:
    """Made, used and closed on the thread that owns the CUDA context.

    Args:
        path: the engine's file.
        manifest: its manifest, which was checked before.
        keeps_cache: what TensorRT-RTX compiles for this GPU is kept beside the engine; False to look at it only.

    Attributes:
        limits: (min, max) images at a time.

    Raises:
        MissingPackageError: TensorRT is not installed.
        ArtifactError: the file is no engine of this release, needs a plugin that is not there, or is not ours.
        DeviceError: TensorRT cannot have CUDA, or its memory is full.
    """

    def __init__(self, path: Path, manifest: EngineManifest, *, keeps_cache: bool = True) -> None:
        self._path = path
        self._trt = load_tensorrt(manifest.target)
        self._said = Listener(self._trt)
        self._logger = self._said.logger
        self._check_plugin(manifest)  # initializes the plugin library, without which no such engine is loaded
        release = f"{manifest.target} {self._trt.__version__}"
        self._runtime: Any = start_tensorrt(self._trt.Runtime, self._said, release)
        if manifest.options.version_compatible:
            self._runtime.engine_host_code_allowed = True  # such an engine carries a runtime of its own
        if manifest.options.dla is not None:
            self._runtime.DLA_core = manifest.options.dla  # else all engines run on the first core
        self._cache: RuntimeCache | None = None
        self._engine: Any = self._load(manifest)
        try:
            self._check_tensors()
            if keeps_cache and hasattr(self._engine, "create_runtime_config"):
                self._cache = RuntimeCache(self._trt, self._engine, path)
            low, _, high = self._engine.get_tensor_profile_shape(INPUT_NAME, 0)
        except BaseException:
            self._drop()
            raise
        self.limits = (int(next(iter(low))), int(next(iter(high))))

    def shape(self, name: str, batch: int) -> tuple[int, ...]:
        """Return a tensor's shape for a batch."""
        return (batch, *tuple(self._engine.get_tensor_shape(name))[1:])

    def context(self, batch: int, addresses: Mapping[str, int]) -> TrtContext:
        """Return a context that is bound to a batch size and to its tensors' memory for good."""
        config = self._cache.config if self._cache is not None else None
        made = self._engine.create_execution_context(*([config] if config is not None else []))
        if made is None:
            raise self.failure("TensorRT cannot run the engine")
        hold("execution context", made)
        return TrtContext(self, made, self.shape(INPUT_NAME, batch), addresses)

    def layer_information(self) -> str:
        """Return what TensorRT's inspector says of the engine's layers: JSON, whose names differ between releases."""
        inspector = self._engine.create_engine_inspector()
        return str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def failure(self, what: str) -> DeviceError:
        """Return an error with what TensorRT last said."""
        messages = self._said.errors[-3:]
        no_memory = is_about_memory(messages)
        return DeviceError(
            f"{what}{': out of memory' if no_memory else ''} ({self._path})",
            got="; ".join(messages),
            do=_FREE_MEMORY if no_memory else "Run: ssd-edge doctor",
        )

    def close(self) -> None:
        """Drop the engine, then its runtime; the contexts must be gone."""
        if self._cache is not None:
            self._cache.save()
        self._drop()

    def _drop(self) -> None:
        self._cache = None
        self._engine = None
        self._runtime = None

    def _load(self, manifest: EngineManifest) -> Any:
        engine: tensorrt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(self._path.read_bytes())
        if engine is None and is_about_memory(self._said.errors):
            raise self.failure("TensorRT cannot load the engine")
        if engine is None:
            raise ArtifactError(
                f"{manifest.target} {self._trt.__version__} cannot load {self._path}",
                got="; ".join(self._said.errors[-3:]),
                do=f"Build the engine again on this machine: {manifest.build_command(self._path)}",
            )
        hold("engine", engine)
        return engine

    def _check_plugin(self, manifest: EngineManifest) -> None:
        registered = plugin_names(self._trt, self._logger)
        wanted = _PLUGINS.get(manifest.options.nms, "")
        if wanted and wanted not in registered:
            raise ArtifactError(
                f"{self._path} needs a plugin that {manifest.target} {self._trt.__version__} does not have",
                got=f"{len(registered)} other plugins",
                wanted=wanted,
                do=f"Build the engine again on this machine: {manifest.build_command(self._path)}",
            )

    def _check_tensors(self) -> None:
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        found = {name: str(self._engine.get_tensor_dtype(name)).rpartition(".")[2] for name in names}
        if found != CONTRACT:
            raise ArtifactError(
                f"{self._path} does not have the inputs and outputs of an ssd-edge model",
                got=", ".join(f"{name} {kind}" for name, kind in found.items()),
                wanted=", ".join(f"{name} {kind}" for name, kind in CONTRACT.items()),
                do="Export the model again: ssd-edge export",
            )


class TrtContext:
    """One execution context with its shape and addresses, which never change: a captured graph relies on them."""

    def __init__(self, engine: TrtEngine, context: Any, shape: tuple[int, ...], addresses: Mapping[str, int]) -> None:
        self._engine, self._context = engine, context
        accepted = context.set_input_shape(INPUT_NAME, shape)
        accepted = accepted and all(context.set_tensor_address(name, where) for name, where in addresses.items())
        if not accepted:
            raise engine.failure(f"TensorRT does not take {shape}")

    def enqueue(self, stream: int) -> bool:
        """Queue one inference; return whether TensorRT accepted it."""
        return bool(self._context.execute_async_v3(stream))

    def close(self) -> None:
        """Drop the context."""
        self._context = None


class RuntimeCache:
    """Kernels that TensorRT-RTX compiled for this very GPU, kept beside the engine for the next start."""

    def __init__(self, trt: Any, engine: Any, path: Path) -> None:
        self._path = path.with_suffix(".cache")
        self._cache: Any = None
        self._kept = b""
        self.config: Any = engine.create_runtime_config()
        if not hasattr(self.config, "create_runtime_cache"):  # TensorRT has the config without the cache
            self.config = None
            return
        self._cache = self.config.create_runtime_cache()
        self._specialise_at_once(trt)
        self._kept = self._read()
        if self._kept and not self._cache.deserialize(self._kept):
            log.warning(
                "%s is damaged, or belongs to another release or GPU: kernels are compiled again and the file is "
                "replaced",
                self._path,
            )
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write what was compiled, whole or not at all; where it cannot be written, the next start takes longer."""
        written = None if self._cache is None else self._cache.serialize()
        compiled = b"" if written is None else bytes(memoryview(written))  # None also where the GPU is lost
        if compiled and compiled != self._kept:
            try:
                with written_beside(self._path) as partial:
                    partial.write_bytes(compiled)
            except InputError as error:
                log.warning("the compiled kernels cannot be stored and are compiled again at the next start: %s", error)
        self._cache = self.config = None

    def _specialise_at_once(self, trt: Any) -> None:
        """Compile for a batch size when it is met: a CUDA graph would keep the slow kernels that fill in until then."""
        self.config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes() if self._path.is_file() else b""
        except OSError as error:
            log.warning("%s cannot be read (%s): kernels are compiled again", self._path, error.strerror)
            return b""


def settled(error: Exception, path: Path) -> SsdEdgeError:
    """Return an error of ours as it is, and any other, which is a bug, as one that says where; both without frames."""
    if isinstance(error, SsdEdgeError):
        return forget_frames(error)
    found = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({Path(found.filename).name}, line {found.lineno})"
    forget_frames(error)
    return DeviceError(
        f"the thread that runs {path} ended unexpectedly",
        got=why,
        do="Please report this with the file that ssd-edge doctor --json board.json writes.",
    )


def forget_frames(error: Failure) -> Failure:
    """Return the error without tracebacks, whose frames would keep streams and events alive past their context."""
    log.debug("the GPU's thread failed", exc_info=error)
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
