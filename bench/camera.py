"""A camera's rate against its promise, with the buffers of the driver and with fewer: delivered / produced.

    python -m bench.camera [--camera 0] [--seconds 10]

What a camera produces is taken from the rate that it promises (CAP_PROP_FPS); in the dark many lower it by themselves,
so compare the lines with each other. With one buffer the driver has none between two reads, and drops the frame that
begins then (tests/streaming/sources/uvc_camera.py names the kernel's sources).
"""

from __future__ import annotations

import sys

import cv2

from bench._options import run
from ssd_edge.core.timing import Stopwatch
from ssd_edge.streaming.sources.camera_rate import measure_rate

BUFFERS = (1, 2, 4)


def main(*, camera: int = 0, seconds: float = 10.0) -> None:
    watch = Stopwatch()
    with watch:
        for buffers in BUFFERS:
            found = measure_rate(camera, seconds, buffers=buffers)
            if found is None:
                sys.exit(f"camera {camera} cannot be opened: ls -l /dev/video*")
            print(f"{buffers} buffer{'s' if buffers > 1 else ' '}: {found}")
    print(f"OpenCV {cv2.__version__}, {watch.last_ms / 1000:.0f} s")


if __name__ == "__main__":
    run(main)
