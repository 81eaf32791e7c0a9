"""Checks of NVIDIA's software: GPU, driver, CUDA, pycuda."""

from __future__ import annotations

import re

from ssd_edge.backends.cuda_driver import is_virtual_name
from ssd_edge.doctor.check import CheckResult, as_root, is_container, missing, ok, warn
from ssd_edge.doctor.facts import Facts, Gpu, Module
from ssd_edge.doctor.jetpack import JetPack
from ssd_edge.doctor.tensorrt import NOT_NEEDED, tensorrt_module

_JETSON_GPU = "/dev/nvmap"
_PYTHON_HEADERS = "/usr/include/python3.*/Python.h"
_PYCUDA = "pip install 'pycuda>=2025.1.2'"
_OLDEST_PYCUDA = (2025, 1, 2)


def gpu(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return the GPU."""
    found = facts.gpu()
    if isinstance(found, Gpu) and is_virtual_name(found.name):
        return ok("GPU", f"{found.name}: virtual; without a real device it shows nothing about TensorRT")
    if isinstance(found, Gpu):
        major, minor = found.compute_capability
        kind = "shares the board's memory" if found.integrated else f"{found.memory / (1 << 30):.1f} GiB"
        more = f", the first of {found.count}" if found.count > 1 else ""
        return ok("GPU", f"{found.name}, compute capability {major}.{minor}, {kind}{more}")
    if jetpack is not None:
        return missing("GPU", found, _reach_jetson_gpu(facts, jetpack))
    cards = _pci_cards(facts)
    if cards:
        do = "docker run --gpus all …" if is_container(facts) else "sudo ubuntu-drivers install; then restart"
        return missing("GPU", f"{cards} of NVIDIA without a driver: {found}", do)
    return ok("GPU", f"none: {found}; ONNX Runtime on the processor is used")


def _reach_jetson_gpu(facts: Facts, jetpack: JetPack) -> str:
    if facts.paths(_JETSON_GPU) and not facts.readable(_JETSON_GPU):
        return "sudo usermod -aG video,render $USER; then log in again"
    if jetpack.is_hidden or is_container(facts):
        return "docker run --runtime nvidia …"
    return "Flash the board with its JetPack: https://developer.nvidia.com/embedded/jetpack"


def _pci_cards(facts: Facts) -> int:
    """Count NVIDIA's display controllers on the PCI bus: vendor 10de, class 03."""
    folders = [path.removesuffix("/vendor") for path in facts.paths("/sys/bus/pci/devices/*/vendor")]
    nvidia = [folder for folder in folders if (facts.text(f"{folder}/vendor") or "").strip() == "0x10de"]
    return sum((facts.text(f"{folder}/class") or "").startswith("0x03") for folder in nvidia)


def driver(facts: Facts) -> CheckResult:
    """Return the driver and the CUDA version that it can run."""
    found = facts.gpu()
    if not isinstance(found, Gpu):
        return ok("driver", "none")
    release = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", facts.text("/proc/driver/nvidia/version") or "")
    major, minor = found.driver_cuda
    return ok("driver", f"{release[1] + ', ' if release else ''}runs programs up to CUDA {major}.{minor}")


def cuda(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return the CUDA toolkit; pip needs its headers and compiler once, to build pycuda."""
    found = facts.gpu()
    if not isinstance(found, Gpu):
        return ok("CUDA toolkit", "not needed without an NVIDIA GPU")
    version = re.search(r"release ([\d.]+)", _nvcc(facts))
    if version is not None:
        return ok("CUDA toolkit", version[1])
    built = facts.module("pycuda")
    if built is not None and not _pycuda_problem(facts, built):
        return ok("CUDA toolkit", "none; not needed, as pycuda is already built")
    if built is None or _cuda_python(facts):
        return ok("CUDA toolkit", "none; not needed, as cuda-python is not compiled here")
    major, minor = found.driver_cuda
    package = f"cuda-toolkit-{major}-{minor}" if jetpack else "nvidia-cuda-toolkit"
    return warn("CUDA toolkit", "none; pip needs it to build pycuda", as_root(facts, f"apt-get install {package}"))


def _nvcc(facts: Facts) -> str:
    return facts.output("nvcc --version") or facts.output("/usr/local/cuda/bin/nvcc --version") or ""


def pycuda(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return pycuda or cuda-python, through one of which TensorRT engines get their memory and streams."""
    found, other = facts.module("pycuda"), _cuda_python(facts)
    if not isinstance(facts.gpu(), Gpu):
        return ok("pycuda", found.version if found and found.version else NOT_NEEDED)
    if found is None and tensorrt_module(facts) is None and jetpack is not None and jetpack.major == 5:
        return ok("pycuda", "not installed, and not needed without TensorRT")
    if other and (found is None or _pycuda_problem(facts, found)):
        return ok("pycuda", f"cuda-python {other} is used instead")
    if found is None:
        return missing("pycuda", "neither it nor cuda-python is installed", _cuda_python_install(facts))
    return _installed_pycuda(facts, found, jetpack)


def _installed_pycuda(facts: Facts, found: Module, jetpack: JetPack | None) -> CheckResult:
    install = _PYCUDA if facts.output("nvcc --version") else f"PATH=/usr/local/cuda/bin:$PATH {_PYCUDA}"
    if jetpack is not None and not facts.paths(_PYTHON_HEADERS):
        install = f"{as_root(facts, 'apt-get install python3-dev')}; {install}"
    problem = _pycuda_problem(facts, found)
    if problem:
        return missing("pycuda", f"cannot be imported: {problem}", f"{install} --force-reinstall --no-cache-dir")
    if _numbers(found.version) < _OLDEST_PYCUDA:
        return warn("pycuda", f"{found.version}, which does not know CUDA 13", f"{install} --upgrade")
    return ok("pycuda", found.version)


def _cuda_python(facts: Facts) -> str:
    """Return the version of cuda-python, where its bindings can be imported; else nothing."""
    found = facts.module("cuda.bindings")
    if found is None or found.problem:
        return ""
    return facts.distribution("cuda-bindings") or found.version or "of an unknown version"


def _cuda_python_install(facts: Facts) -> str:
    """Return the command for the release that fits the driver."""
    found = facts.gpu()
    return (
        f"pip install 'cuda-bindings=={found.driver_cuda[0]}.*'"
        if isinstance(found, Gpu)
        else "pip install cuda-bindings"
    )


def _pycuda_problem(facts: Facts, package: Module) -> str:
    """Return why pycuda cannot be used; the package itself is Python alone, and what was compiled is behind it."""
    compiled = facts.module("pycuda.driver")
    return package.problem or (compiled.problem if compiled is not None else "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
