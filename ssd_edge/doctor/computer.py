"""The computer as Python sees it: interpreter, processor, and the packages that every machine can use."""

from __future__ import annotations

import re
from dataclasses import replace

from ssd_edge.doctor.check import CheckResult, let_see_system, missing, ok, warn
from ssd_edge.doctor.facts import Facts, Gpu, Module
from ssd_edge.doctor.jetpack import JetPack

_OLDEST_PYTHON = (3, 10)
_SYSTEM_PYTHON = "/usr/bin/python3"
_INT8_FEATURES = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def python(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return the interpreter; a Jetson's TensorRT belongs to the system's Python, so a venv must see that."""
    found = facts.python()
    text = ".".join(map(str, found.version)) + (f" in {found.venv}" if found.venv else "")
    if found.version < _OLDEST_PYTHON:
        return missing("Python", f"{text}; ssd-edge needs 3.10", _newer_python(jetpack))
    if jetpack is None or jetpack.major == 5:
        return ok("Python", text)
    system = re.search(r"Python (\d+)\.(\d+)", facts.output(f"{_SYSTEM_PYTHON} --version") or "")
    if system is not None and found.version[:2] != (int(system[1]), int(system[2])):
        return warn(
            "Python",
            f"{text}, but JetPack's TensorRT and OpenCV are for Python {system[1]}.{system[2]}",
            f"{_SYSTEM_PYTHON} -m venv --system-site-packages .venv; then install ssd-edge in it",
        )
    if not found.sees_system:
        see = let_see_system(found.venv)
        return warn("Python", f"{text}, which does not see JetPack's TensorRT and OpenCV", see)
    return ok("Python", text)


def _newer_python(jetpack: JetPack | None) -> str:
    if jetpack is not None and jetpack.major == 5:
        return "JetPack 5 has Python 3.8, and its TensorRT fits no other: flash JetPack 6 (docs/jetson.md)"
    return "Install Python 3.10 or newer."


def processor(facts: Facts) -> CheckResult:
    """Return the processor and whether it multiplies 8-bit integers natively."""
    cpu = facts.cpu()
    native = [feature for feature in _INT8_FEATURES if feature in cpu.split("+")]
    if native:
        return ok("processor", f"{cpu}: INT8 runs natively ({', '.join(native)})")
    return ok("processor", f"{cpu}: no INT8 dot product; INT8 engines are built in the variant that cannot saturate")


def onnx_runtime(facts: Facts) -> CheckResult:
    """Return ONNX Runtime, which every machine can run on."""
    return _package(facts.module("onnxruntime"), "ONNX Runtime", "pip install 'onnxruntime>=1.17'")


def openvino(facts: Facts) -> CheckResult:
    """Return OpenVINO, the other runtime of a processor, and of Intel's GPUs and NPUs."""
    found = facts.module("openvino")
    if found is None:
        return ok("OpenVINO", "not installed; for --target openvino: pip install 'ssd-edge[openvino]'")
    return _package(replace(found, version=found.version.partition("-")[0]), "OpenVINO", "pip install openvino")


def torch(facts: Facts) -> CheckResult:
    """Return PyTorch, which only training, exporting and importing need."""
    found = facts.module("torch")
    if found is None:
        return ok(
            "PyTorch", "not installed; only train, export and import need it: pip install 'ssd-edge[train,export]'"
        )
    if found.version.endswith("+cpu") and isinstance(facts.gpu(), Gpu) and not found.problem:
        why = f"{found.version}: it is built for the processor alone, and the GPU would train nothing"
        return warn("PyTorch", why, "Install the build for this driver's CUDA: https://pytorch.org/get-started/locally")
    return _package(found, "PyTorch", "pip install --force-reinstall torch")


def _package(found: Module | None, name: str, install: str) -> CheckResult:
    if found is None:
        return missing(name, "not installed", install)
    if found.problem:
        return missing(name, f"cannot be imported: {found.problem}", install)
    return ok(name, found.version)
