"""OpenCV computes on the calling thread inside the block, and a forked process does not wait for threads it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ssd_edge.core.opencv_pool import no_opencv_pool

ROOT = Path(__file__).resolve().parents[2]


def test_overlapping_blocks_restore_the_number_of_threads_once() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        with no_opencv_pool():
            with no_opencv_pool():
                assert cv2.getNumThreads() == 1
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_runs_streams_though_its_parent_has_used_the_pool() -> None:
    """``cv2.setNumThreads`` joins threads that only the parent has: such a child used to hang at once."""
    script = """
import multiprocessing, sys
import cv2, numpy as np
from ssd_edge.backends.detector import Detector
from ssd_edge.streaming.pipeline import Pipeline, Stream
from tests.streaming.test_pipeline import Count, FakeBackend, Kept

def child():
    sys.exit(Pipeline([Stream(Count(3), [Kept()])], Detector(FakeBackend())).run().frames)

cv2.setNumThreads(4)
for _ in range(5):
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (5, 5), 1)
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(60)
code = process.exitcode
process.kill()
sys.exit(99 if code is None else code)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 3  # frames
