"""The processor's measured peak: the fastest large matrix product of any library that is installed, by type.

A share of a datasheet's peak means nothing in a container or a virtual machine, so the peak is measured, in the same
run and with the same threads as the networks. Every library that can do a type is tried, and the best counts: a higher
peak only makes the networks' shares smaller.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.backends.openvino.module import load_openvino
from ssd_edge.backends.ort_session import load_runtime, make_session

SIDE = 1024
TYPES = ("f32", "bf16", "int8")
_LEAST_RUNS, _WARM_UP = 5, 2

Product = Callable[[], object]


def measure_peaks(threads: int, seconds: float) -> dict[str, tuple[float, str]]:
    """Return the giga-operations a second (a multiply-add is two) of each type, and the library that gave them.

    A type is left out where no library here computes it natively: bf16 needs a processor that has it, and PyTorch or
    OpenVINO.

    Args:
        threads: of a product.
        seconds: for each library and type.
    """
    best: dict[str, tuple[float, str]] = {}
    for kind, library, product in _products(threads):
        found = 2 * SIDE**3 / _shortest_s(product, seconds) / 1e9
        if found > best.get(kind, (0.0, ""))[0]:
            best[kind] = (found, library)
    return best


def _shortest_s(product: Product, seconds: float) -> float:
    for _ in range(_WARM_UP):
        product()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < _LEAST_RUNS or time.perf_counter() < ends:
        began = time.perf_counter()
        product()
        times.append(time.perf_counter() - began)
    return min(times)


def _products(threads: int) -> Iterator[tuple[str, str, Product]]:
    yield from _of_onnxruntime(threads)
    if find_spec("torch") is not None:
        yield from _of_torch(threads)
    if find_spec("openvino") is not None:
        yield from _of_openvino(threads)


def _of_onnxruntime(threads: int) -> Iterator[tuple[str, str, Product]]:
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
    yield "f32", "onnxruntime", _session(threads, "MatMul", TensorProto.FLOAT, floats, floats)
    weights = rng.integers(-127, 128, (SIDE, SIDE)).astype(np.int8)
    pixels = rng.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    yield "int8", "onnxruntime", _session(threads, "MatMulInteger", TensorProto.INT32, pixels, weights)


def _session(threads: int, operator: str, result: int, fed: Any, weights: Any) -> Product:
    options = load_runtime().SessionOptions()
    options.intra_op_num_threads = threads
    session = make_session(_model(operator, result, fed, weights).SerializeToString(), options)
    return lambda: session.run(None, {"a": fed})


def _model(operator: str, result: int, fed: Any, weights: Any) -> onnx.ModelProto:
    """Return one product whose second factor is constant, as a network's weights are."""
    kind = helper.np_dtype_to_tensor_dtype(fed.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "gemm",
        [helper.make_tensor_value_info("a", kind, fed.shape)],
        [helper.make_tensor_value_info("c", result, (SIDE, SIDE))],
        [numpy_helper.from_array(weights, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _of_torch(threads: int) -> Iterator[tuple[str, str, Product]]:
    import torch

    torch.set_num_threads(threads)
    floats = torch.randn(SIDE, SIDE)
    yield "f32", "torch", lambda: torch.mm(floats, floats)
    if _has_bfloat16():
        halves = floats.bfloat16()
        yield "bf16", "torch", lambda: torch.mm(halves, halves)
    whole = torch.randint(-127, 128, (SIDE, SIDE), dtype=torch.int8)
    multiply = getattr(torch, "_int_mm", None)
    if multiply is not None:
        yield "int8", "torch", lambda: multiply(whole, whole)


def _of_openvino(threads: int) -> Iterator[tuple[str, str, Product]]:
    floats = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    model = _model("MatMul", TensorProto.FLOAT, floats, floats).SerializeToString()
    core = load_openvino().Core()
    for kind in ("f32", "bf16") if _has_bfloat16() else ("f32",):
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": kind, "PERFORMANCE_HINT": "LATENCY"}
        request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
        yield kind, "openvino", partial(request.infer, {"a": floats}, share_inputs=True)


def _has_bfloat16() -> bool:
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_device().split("+")))
