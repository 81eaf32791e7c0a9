"""Our CUDA layer on a real GPU without TensorRT: pinned memory, streams, events, and a CUDA graph of a kernel.

    python -m bench.cuda_layer [--rounds 200] [--mib 4] [--binding cuda-python]

A batch is copied in, filled by a kernel of our own and copied out, by plain calls and as one captured graph; both must
give the same bytes. The kernel is PTX, which the driver compiles; where it does not, the driver's own fills
(cuMemsetD8Async). Prints the binding, the medians and what is still held at the end.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Literal

import numpy as np

from bench._options import run
from ssd_edge.backends.cuda import Cuda, Stream, what_is_held
from ssd_edge.core.timing import Stopwatch

_FILL = 7
_THREADS = 256
PTX = """
.version 6.4
.target sm_52
.address_size 64

.visible .entry fill(.param .u64 where, .param .u32 size, .param .u32 value)
{
    .reg .pred %outside;
    .reg .b32 %size, %value, %block, %width, %thread, %number;
    .reg .b64 %start, %offset, %place;
    ld.param.u64 %start, [where];
    ld.param.u32 %size, [size];
    ld.param.u32 %value, [value];
    mov.u32 %block, %ctaid.x;
    mov.u32 %width, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.u32 %number, %block, %width, %thread;
    setp.ge.u32 %outside, %number, %size;
    @%outside bra END;
    cvta.to.global.u64 %start, %start;
    cvt.u64.u32 %offset, %number;
    add.u64 %place, %start, %offset;
    st.global.u8 [%place], %value;
END:
    ret;
}
"""
Fill = Callable[[Stream, int, int], bool]


def drivers_fill(stream: Stream, address: int, size: int) -> bool:
    """Fill by the driver's own kernel."""
    library = ctypes.CDLL("libcuda.so.1")
    where, queue = ctypes.c_ulonglong(address), ctypes.c_void_p(stream.handle)
    return bool(library.cuMemsetD8Async(where, ctypes.c_ubyte(_FILL), ctypes.c_size_t(size), queue) == 0)


def own_fill() -> Fill | None:
    """Return what fills by our kernel, with the context that is current; None where the driver does not take it."""
    library = ctypes.CDLL("libcuda.so.1")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        if library.cuModuleLoadData(ctypes.byref(module), PTX.encode()) != 0:
            return None
        if library.cuModuleGetFunction(ctypes.byref(function), module, b"fill") != 0:
            return None
    except AttributeError:  # of a driver that is none
        return None

    def fill(stream: Stream, address: int, size: int) -> bool:
        values = ctypes.c_ulonglong(address), ctypes.c_uint(size), ctypes.c_uint(_FILL)
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        blocks, queue = -(-size // _THREADS), ctypes.c_void_p(stream.handle)
        return bool(library.cuLaunchKernel(function, blocks, 1, 1, _THREADS, 1, 1, 0, queue, pointers, None) == 0)

    return fill


def timed(cuda: Cuda, fill: Fill, rounds: int, size: int) -> dict[str, float]:
    stream, buffer = cuda.stream(), cuda.buffer((1, size), np.uint8)
    graph = cuda.graphs.capture(stream.handle, lambda: fill(stream, buffer.device, size))
    medians = {}
    for name, start in (
        ("plain", lambda: fill(stream, buffer.device, size)),
        ("graph", lambda: graph.launch(stream.handle)),
    ):
        watch = Stopwatch()
        for _ in range(rounds):
            buffer.host[:] = 0
            with watch:
                cuda.upload(buffer, 1, stream)
                start()
                cuda.download(buffer, 1, stream)
                stream.synchronize()
            if not (buffer.host == _FILL).all():
                sys.exit(f"{name}: the bytes that came back are not those of the kernel")
        medians[name] = watch.timing.median_ms
    graph.close()
    return medians


def main(*, rounds: int = 200, mib: int = 4, binding: Literal["auto", "cuda-python"] = "auto") -> None:
    if binding == "cuda-python":
        sys.modules["pycuda.driver"] = None  # type: ignore[assignment]  # as where it is not installed
    cuda = Cuda()
    try:
        with cuda.errors("the GPU failed"):
            print(f"{cuda.name}, compute capability {cuda.compute_capability}, by {cuda.binding}")
            own = own_fill()
            print("a kernel of our own" if own else "the driver's own kernel: it does not take ours")
            for name, ms in timed(cuda, own or drivers_fill, rounds, mib << 20).items():
                print(f"{name}: {ms:.3f} ms for {mib} MiB in, the kernel, and out (median of {rounds})")
    finally:
        failed = cuda.close()
    held = {kind: count for kind, count in what_is_held().items() if kind not in ("stream", "event")}
    if failed or held:
        sys.exit(f"not given back: {failed} {held}")
    print("all is given back")


if __name__ == "__main__":
    run(main)
