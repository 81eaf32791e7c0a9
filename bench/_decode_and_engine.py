"""Decode, resize and infer, and nothing else: what a labeller cannot be faster than, in the same layout of threads.

    python -m bench._decode_and_engine MODEL FOLDER --threads N --batch N

Prints when it began and ended, in seconds since 1970, and its processor time an image. Each thread decodes and resizes
a batch of images by OpenCV and calls the backend; nothing is checked, and no result is kept.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np

from bench._options import run
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_backend


def main(model: Path, folder: Path, *, threads: int = 2, batch: int = 8) -> int:
    paths = sorted(map(str, folder.glob("*.jpg")))
    batches = iter([paths[start : start + batch] for start in range(0, len(paths), batch)])
    lock = threading.Lock()
    with open_backend(model, Threads.for_throughput(threads)) as backend:
        width, height = backend.spec.input.width, backend.spec.input.height

        def work() -> None:
            pixels = np.zeros((batch, height, width, 3), np.uint8)
            while True:
                with lock:
                    mine = next(batches, None)
                if mine is None:
                    return
                for place, path in enumerate(mine):
                    cv2.resize(cv2.imread(path), (width, height), dst=pixels[place])
                backend.infer(pixels)

        began, processor = time.time(), time.process_time()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(began, time.time(), (time.process_time() - processor) / len(paths))
    return 0


if __name__ == "__main__":
    run(main)
