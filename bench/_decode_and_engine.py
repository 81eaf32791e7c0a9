"""Decode, resize and infer, and nothing else: what a labeller cannot be faster than, in the same layout of threads.

    python -m bench._decode_and_engine MODEL FOLDER --threads N --batch N

Prints images a second. Each thread reads a batch of images, decodes and resizes them and calls the backend; no result
is kept.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from bench._options import run
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_backend
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess


def main(model: Path, folder: Path, *, threads: int = 2, batch: int = 8) -> int:
    paths = sorted(folder.glob("*.jpg"))
    batches = iter([paths[start : start + batch] for start in range(0, len(paths), batch)])
    lock = threading.Lock()
    with open_backend(model, Threads.for_throughput(threads)) as backend:
        entry = backend.spec.input

        def work() -> None:
            pixels = np.zeros((batch, entry.height, entry.width, 3), np.uint8)
            while True:
                with lock:
                    mine = next(batches, None)
                if mine is None:
                    return
                for place, path in enumerate(mine):
                    preprocess(read_image(path), entry, pixels[place])
                backend.infer(pixels)

        began = time.monotonic()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(len(paths) / (time.monotonic() - began))
    return 0


if __name__ == "__main__":
    run(main)
