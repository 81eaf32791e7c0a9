"""Weights that no kernel's 16-bit sums saturate with, by arithmetic and by the kernels of this processor."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.backends.cpu import cpu_device, has_vnni
from ssd_edge.backends.openvino.module import is_installed
from ssd_edge.backends.ort_session import open_session
from ssd_edge.graph.editor import Array
from ssd_edge.quantization.weight_scale import stored_weights, weight_scale

SHAPES = [(16, 16, 1), (8, 12, 1), (16, 16, 3), (8, 6, 3), (8, 7, 1), (8, 3, 3), (8, 8, 5)]


def stored_by(weight: Array, *, groups: int = 1, saturates: bool = True) -> Array:
    scale = weight_scale(weight, groups=groups, saturates=saturates)
    return stored_weights(weight, scale.reshape(-1, 1, 1, 1))


def drawn(channels: tuple[int, int, int], seed: int) -> Array:
    """Return weights of both signs, of one sign, or with a few that are large beside the others."""
    outputs, inputs, side = channels
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, inputs, side, side)).astype(np.float32)
    weight = np.abs(weight) if seed % 2 else weight
    return weight * rng.choice([1.0, 0.01], size=weight.shape).astype(np.float32) if seed % 3 == 0 else weight


@pytest.mark.parametrize("channels", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_no_pair_reaches_the_limit_of_16_bits(channels: tuple[int, int, int], seed: int) -> None:
    stored = stored_by(drawn(channels, seed)).astype(int)
    for part in (np.maximum(stored, 0), np.maximum(-stored, 0)):
        if channels[1] % 2 == 0:
            sums = part[:, 0::2] + part[:, 1::2]
        else:
            sums = np.sort(part.reshape(len(part), -1), axis=1)[:, -2:].sum(axis=1)
        assert 255 * int(sums.max()) < 2**15


@pytest.mark.parametrize("seed", range(4))
def test_weights_keep_more_of_themselves_than_in_7_bits(seed: int) -> None:
    weight = drawn((16, 64, 1), seed)
    by_pairs, whole = weight_scale(weight, saturates=True), weight_scale(weight)
    assert (by_pairs <= 2 * whole).all()
    assert by_pairs.mean() < 1.7 * whole.mean()


def test_depthwise_kernels_have_32_bits_and_other_groups_have_not() -> None:
    weight = drawn((8, 1, 3), 1)
    assert np.array_equal(weight_scale(weight, groups=8, saturates=True), weight_scale(weight))
    assert (weight_scale(weight, groups=4, saturates=True) > weight_scale(weight)).all()


def test_of_a_transposed_convolution_any_two_weights_are_safe() -> None:
    weight = drawn((8, 16, 3), 1)
    scale = weight_scale(weight, groups=8, transposed=True, saturates=True)
    largest = np.sort(np.rint(weight / scale.reshape(-1, 1, 1, 1)).reshape(8, -1), axis=1)[:, -2:].sum(axis=1)
    assert 255 * int(largest.max()) < 2**15


def test_a_channel_of_zeros_has_a_scale() -> None:
    assert weight_scale(np.zeros((2, 3, 1, 1), np.float32), saturates=True).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("channels", "groups"),
    [*((shape, 1) for shape in SHAPES), ((16, 1, 3), 16), ((32, 1, 5), 32), ((16, 8, 3), 2), ((16, 4, 1), 4)],
)
def test_the_kernels_of_this_processor_add_such_pairs_exactly(
    tmp_path: Path, runtime: str, channels: tuple[int, int, int], groups: int
) -> None:
    """Activations are 0 or 255: the largest sums that there are."""
    if runtime == "openvino" and not is_installed():
        pytest.skip("OpenVINO is not installed")
    run = by_openvino if runtime == "openvino" else by_onnxruntime
    for seed in range(4):
        stored = stored_by(drawn(channels, seed), groups=groups)
        assert steps_off(tmp_path / f"{seed}.onnx", stored, groups, run) <= 1.01  # a sum in the middle of two steps


@pytest.mark.skipif(
    has_vnni(cpu_device()) or platform.machine().lower() not in ("x86_64", "amd64"), reason="sums have 32 bits"
)
def test_weights_of_8_bits_saturate_here(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    stored = stored_by(drawn((16, 16, 3), 1), saturates=False)
    assert steps_off(tmp_path / "whole.onnx", stored, 1, by_onnxruntime) > 5


def steps_off(path: Path, stored: Array, groups: int, run: Callable[[Path, Array], Array]) -> float:
    """Return the largest error, in steps of the output, with activations of 0 and of 255."""
    pixels = np.random.default_rng(0).choice([0.0, 255.0, 255.0], size=(1, stored.shape[1] * groups, 7, 7))
    pixels = pixels.astype(np.float32)
    exact = convolved(pixels, stored, groups)
    step = float(np.abs(exact).max()) / 120
    onnx.save(integer_convolution(stored, groups, step), path)
    return float(np.abs(run(path, pixels) - np.rint(exact / step) * step).max() / step)


def convolved(pixels: Array, stored: Array, groups: int) -> Array:
    """Return the sums in float64, by one product for each place of the filter."""
    side = stored.shape[-1]
    size = pixels.shape[-1] - side + 1
    found = np.zeros((len(stored), size, size))
    split = pixels[0].reshape(groups, -1, *pixels.shape[2:])
    parts = stored.reshape(groups, -1, *stored.shape[1:]).astype(np.float64)
    for row, column in np.ndindex(side, side):
        window = split[:, :, row : row + size, column : column + size]
        found += np.einsum("goi,gihw->gohw", parts[..., row, column], window).reshape(found.shape)
    return found[None]


def integer_convolution(stored: Array, groups: int, step: float) -> onnx.ModelProto:
    """Return Q, DQ, a convolution with int8 weights, Q and DQ, which the runtimes compute in 8 bits."""
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "stored": stored,
        "scales": np.ones(len(stored), np.float32),
        "zeros": np.zeros(len(stored), np.int8),
        "step": np.float32(step),
        "middle": np.uint8(128),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["pixels", "one", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["stored", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"], group=groups),
        helper.make_node("QuantizeLinear", ["y", "step", "middle"], ["stored_y"]),
        helper.make_node("DequantizeLinear", ["stored_y", "step", "middle"], ["sums"]),
    ]
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, stored.shape[1] * groups, 7, 7])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_onnxruntime(path: Path, pixels: Array) -> Array:
    return np.asarray(open_session(path, threads=1, optimize=True).run(None, {"pixels": pixels})[0])


def by_openvino(path: Path, pixels: Array) -> Array:
    import openvino

    return np.asarray(openvino.Core().compile_model(str(path), "CPU")([pixels])[0])
