"""The whole examination, from the board up to the cameras."""

from __future__ import annotations

from ssd_edge.doctor import board, cameras, computer, nvidia, tensorrt
from ssd_edge.doctor.check import Line
from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.jetpack import find_jetpack


def examine(facts: Facts) -> list[Line]:
    """Return a line for everything that matters to ``ssd-edge`` on this machine."""
    jetpack = find_jetpack(facts)
    lines = [
        board.machine(facts, jetpack),
        computer.python(facts, jetpack),
        computer.processor(facts),
        board.memory(facts, jetpack),
        nvidia.gpu(facts, jetpack),
        nvidia.driver(facts),
        nvidia.cuda(facts, jetpack),
        tensorrt.tensorrt(facts, jetpack),
        tensorrt.plugins(facts),
        nvidia.pycuda(facts, jetpack),
        computer.onnx_runtime(facts),
        cameras.opencv(facts, jetpack),
        cameras.cameras(facts),
        computer.torch(facts),
    ]
    if jetpack is not None:
        lines += [cameras.gstreamer(facts), board.power(facts), board.clocks(facts)]
    return lines
