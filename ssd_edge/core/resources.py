"""Resources that run out: memory, GPU memory, shared memory, descriptors, processes, disks, libraries, the locale.

PyTorch, OpenCV, ONNX Runtime, matplotlib and the system each say it in their own way. Here it becomes one named error
that says what to do.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ssd_edge.core.errors import DeviceError, InputError, MissingPackageError, SsdEdgeError

P = ParamSpec("P")
R = TypeVar("R")
_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libSM.so.6": "libsm6",
    "libXext.so.6": "libxext6",
    "libxcb.so.1": "libxcb1",
    "libnvinfer.so": "tensorrt",
    "libopenblas.so.0": "libopenblas0",
}
_MISSING = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")


@dataclass(frozen=True)
class _Resource:
    """One thing that runs out, by what others say of it."""

    signs: tuple[str, ...]
    make: Callable[[str], SsdEdgeError]


def _shared_memory(got: str) -> SsdEdgeError:
    return DeviceError(
        "shared memory (/dev/shm) is full",
        got=got,
        wanted="space for the batches that data workers pass on",
        do="In a container, use docker run --shm-size 2g (or --ipc=host). Elsewhere, use --workers 0 or a smaller "
        "batch.",
    )


def _gpu_memory(got: str) -> SsdEdgeError:
    return DeviceError(
        "the GPU's memory is full",
        got=got,
        do="Use a smaller --batch-size, or end other programs (nvidia-smi lists them).",
    )


def _memory(got: str) -> SsdEdgeError:
    return DeviceError(
        "the memory is full",
        got=got,
        do="Use a smaller batch, fewer --workers or smaller images, or end other programs.",
    )


def _descriptors(got: str) -> SsdEdgeError:
    return DeviceError(
        "too many files are open",
        got=got,
        do="Raise the limit of this shell (ulimit -n 65536), or use fewer --workers.",
    )


def _processes(got: str) -> SsdEdgeError:
    return DeviceError(
        "the system cannot start more processes or threads",
        got=got,
        do="Raise ulimit -u or the container's --pids-limit, or use fewer --workers.",
    )


def _disk(got: str) -> SsdEdgeError:
    return InputError("a disk is full", got=got, do="Free some space (df -h), or set TMPDIR to another folder.")


def _driver(got: str) -> SsdEdgeError:
    return DeviceError(
        "the GPU driver does not match the installed CUDA libraries",
        got=got,
        do="Run: ssd-edge doctor. Or use --device cpu.",
    )


def _locale(got: str) -> SsdEdgeError:
    return InputError("the locale cannot be used", got=got, wanted="UTF-8", do="Set the locale: export LC_ALL=C.UTF-8")


_RESOURCES = (  # the first that fits: what is special stands before what is general
    _Resource(("shared memory", "/dev/shm", "torch_shm_manager", "Bus error"), _shared_memory),  # noqa: S108 - looked at, not written
    _Resource(("CUDA out of memory", "CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation"), _gpu_memory),
    _Resource(("driver version is insufficient", "no kernel image is available", "Found no NVIDIA driver"), _driver),
    _Resource(("Too many open files", "ancdata", "EMFILE"), _descriptors),
    _Resource(("can't start new thread", "Resource temporarily unavailable", "pthread_create failed"), _processes),
    _Resource(
        (
            "can't allocate memory", "Cannot allocate memory", "bad_alloc", "bad allocation",
            "Failed to allocate memory", "Insufficient memory", "Unable to allocate",
            "out of memory", "Out of memory", "OutOfMemoryError",
        ),
        _memory,
    ),
    _Resource(("No space left on device", "Disk quota exceeded"), _disk),
    _Resource(("unsupported locale setting",), _locale),
)  # fmt: skip
_NUMBERS = {
    errno.EMFILE: _descriptors,
    errno.ENFILE: _descriptors,
    errno.ENOMEM: _memory,
    errno.EAGAIN: _processes,
    errno.ENOSPC: _disk,
    errno.EDQUOT: _disk,
}


def resource_error(error: BaseException) -> SsdEdgeError | None:
    """Return the named error for what a library or the system raised because something ran out; None for all else.

    Args:
        error: as it was caught, of any type.
    """
    if isinstance(error, SsdEdgeError):
        return None
    text = _last_line(str(error)) or type(error).__name__
    if isinstance(error, ImportError):
        return _missing_library(text)
    if isinstance(error, UnicodeEncodeError):
        return _locale(text) if error.encoding in ("ascii", "latin-1") else None
    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    if number in _NUMBERS:
        return _NUMBERS[number](text)
    if not isinstance(error, RuntimeError | OSError) and "error" not in type(error).__name__.lower():
        return None
    return next((kind.make(text) for kind in _RESOURCES if any(sign in str(error) for sign in kind.signs)), None)


def _missing_library(text: str) -> SsdEdgeError | None:
    found = _MISSING.search(text)
    if found is None:
        return None
    package = next((name for library, name in _LIBRARIES.items() if found[1].startswith(library)), "")
    return MissingPackageError(
        f"a library of the system is missing: {found[1]}",
        got=text,
        do=f"Install it: apt-get install {package}" if package else f"Find its package: apt-file search {found[1]}",
    )


def _last_line(text: str) -> str:
    """An error of a data worker holds its traceback; the reason is its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_wrapped = len(lines) > 1 and any("Traceback" in line for line in lines)
    return (lines[-1] if is_wrapped else " ".join(lines))[:300]


@contextmanager
def named_resources() -> Iterator[None]:
    """Turn what says inside the block that something ran out into the named error.

    Raises:
        SsdEdgeError: something ran out.
    """
    try:
        yield
    except Exception as error:
        named = resource_error(error)
        if named is None:
            raise
        raise named from error


def with_named_resources(function: Callable[P, R]) -> Callable[P, R]:
    """Let a public function raise the named error where PyTorch, OpenCV or the system says that something ran out."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with named_resources():
            return function(*args, **kwargs)

    return call
