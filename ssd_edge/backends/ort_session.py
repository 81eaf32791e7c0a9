"""The one place that imports ONNX Runtime: sessions as we want them, and its exceptions as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge.core.environment import no_telemetry
from ssd_edge.core.errors import ArtifactError, InputError, MissingPackageError, one_line

if TYPE_CHECKING:
    import onnxruntime

_SPINS_US = "100"
"""Time that a thread spins for before it sleeps. On free cores operators follow one another faster: the least times are
those without a limit. Beside busy programs an SSDLite320 in INT8 takes 15 ms in the median, and 36 without a limit.
"""
_MORE = 1 << 20  # bytes
_QUIET = 4  # fatal only: the errors below say the same in one sentence


def load_runtime() -> Any:
    """Return the ``onnxruntime`` module, which records no telemetry unless the user lets it.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        with no_telemetry():
            import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            "ONNX Runtime is not installed", got=str(error), do="Install it: pip install onnxruntime"
        ) from error
    return onnxruntime


def ort_version() -> str:
    """Return the version of the installed ONNX Runtime."""
    return str(load_runtime().__version__)


def open_session(
    path: Path, *, threads: int, optimize: bool, spin: bool = True, save_to: Path | None = None
) -> onnxruntime.InferenceSession:
    """Load a graph on the CPU with ``threads`` threads inside each operator and none between operators.

    The graph as it was optimized is written to ``save_to``, where that is given. For ``spin`` see
    :class:`~ssd_edge.backends.cpu.Threads`.

    Raises:
        InputError: the file cannot be read.
        OSError: ``save_to`` cannot be written.
        ArtifactError: it is not a graph that ONNX Runtime can run.
        MissingPackageError: ONNX Runtime is not installed.
    """
    ort = load_runtime()
    if not path.is_file():
        raise InputError(f"{path} does not exist", wanted="an .onnx or .engine file")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPINS_US)
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between runs
    options.log_severity_level = _QUIET
    if save_to is not None:
        options.optimized_model_filepath = str(save_to)
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    with ort_errors(path, save_to):
        return make_session(str(path), options)


def make_session(model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Load a file or a serialized model on the CPU, so that every layer runs in the precision that the graph says.

    ONNX Runtime would otherwise quantize the weights of a float convolution between two 8-bit tensors on its own.
    """
    return load_runtime().InferenceSession(
        model, options, providers=["CPUExecutionProvider"], disabled_optimizers=["WeightBiasQuantization"]
    )


@contextmanager
def ort_errors(path: Path, save_to: Path | None = None) -> Iterator[None]:
    """Turn whatever ONNX Runtime raises inside the block into one ArtifactError that names ``path``.

    Raises:
        OSError: what it raised means that ``save_to`` cannot be written.
    """
    try:
        yield
    except _exception_types() as error:
        if save_to is not None and "serialization failed" in str(error):
            raise _why_not_written(save_to, str(error)) from error
        raise ArtifactError(
            f"ONNX Runtime {ort_version()} cannot run {path}",
            got=one_line(error),
            do="Export the model again: ssd-edge export",
        ) from error


def _why_not_written(path: Path, message: str) -> OSError:
    """ONNX Runtime says only that it failed to write; the file system says why when it is asked for more."""
    try:
        with path.open("ab") as file:
            file.write(bytes(_MORE))
    except OSError as error:
        error.filename = str(path)  # a write does not say what it was to
        return error
    return OSError(message)


def _exception_types() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions have no common base but Exception, so they are listed from its binding."""
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    own = [entry for entry in vars(binding).values() if isinstance(entry, type) and issubclass(entry, Exception)]
    return (*own, RuntimeError, ValueError)
