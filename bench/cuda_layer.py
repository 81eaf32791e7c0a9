"""Our CUDA layer on a real GPU without TensorRT: pinned memory, streams, events, and a CUDA graph of a kernel.

    python -m bench.cuda_layer [--rounds 200] [--mib 4]

A batch is copied in, filled by the driver's own kernel (cuMemsetD8Async) and copied out, by plain calls and as one
captured graph; both must give the same bytes. Prints the binding, the medians and what is still held at the end.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

from bench._options import run
from ssd_edge.backends.cuda import Cuda, Stream, what_is_held
from ssd_edge.core.timing import Stopwatch

_FILL = 7


def fill(stream: Stream, address: int, size: int) -> bool:
    library = ctypes.CDLL("libcuda.so.1")
    where, queue = ctypes.c_ulonglong(address), ctypes.c_void_p(stream.handle)
    return bool(library.cuMemsetD8Async(where, ctypes.c_ubyte(_FILL), ctypes.c_size_t(size), queue) == 0)


def timed(cuda: Cuda, rounds: int, size: int) -> dict[str, float]:
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


def main(*, rounds: int = 200, mib: int = 4) -> None:
    cuda = Cuda()
    try:
        with cuda.errors("the GPU failed"):
            print(f"{cuda.name}, compute capability {cuda.compute_capability}, by {cuda.binding}")
            for name, ms in timed(cuda, rounds, mib << 20).items():
                print(f"{name}: {ms:.3f} ms for {mib} MiB in, a kernel, and out (median of {rounds})")
    finally:
        failed = cuda.close()
    held = {kind: count for kind, count in what_is_held().items() if kind not in ("stream", "event")}
    if failed or held:
        sys.exit(f"not given back: {failed} {held}")
    print("all is given back")


if __name__ == "__main__":
    run(main)
