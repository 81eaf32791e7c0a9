"""What NVIDIA gives: GPU, driver, CUDA, TensorRT, its plugins, pycuda."""

from __future__ import annotations

import re

from ssd_edge.backends.cuda_driver import EMULATED
from ssd_edge.core.graph import NMS_OP
from ssd_edge.doctor.facts import Facts, Gpu, Module
from ssd_edge.doctor.jetpack import JetPack
from ssd_edge.doctor.line import Line, missing, ok, warn
from ssd_edge.doctor.surroundings import as_root, is_container, let_see_system

# JetPack's own TensorRT, which is the one that its driver and DeepStream go with.
_APT_TENSORRT = "apt-get install python3-libnvinfer libnvinfer-plugin-dev"
_JETSON_GPU = "/dev/nvmap"
_PYTHON_HEADERS = "/usr/include/python3.*/Python.h"
_PYCUDA = "pip install 'pycuda>=2025.1.2'"
_OLDEST_PYCUDA = (2025, 1, 2)
_RTX_MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings")
_NOT_NEEDED = "not installed, and not needed without an NVIDIA GPU"


def gpu(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return the GPU."""
    found = facts.gpu()
    if isinstance(found, Gpu) and found.name == EMULATED:
        return ok("GPU", "emulated, and TensorRT with it: no device is here")
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


def driver(facts: Facts) -> Line:
    """Return the driver and the CUDA version that it can run."""
    found = facts.gpu()
    if not isinstance(found, Gpu):
        return ok("driver", "none")
    release = re.search(
        r"(?:Kernel Module|Open Kernel Module[^\d]*)\s+([\d.]+)", facts.text("/proc/driver/nvidia/version") or ""
    )
    major, minor = found.driver_cuda
    return ok("driver", f"{release[1] + ', ' if release else ''}runs programs up to CUDA {major}.{minor}")


def cuda(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return the CUDA toolkit; pip needs its headers and compiler once, to build pycuda."""
    found = facts.gpu()
    if not isinstance(found, Gpu):
        return ok("CUDA toolkit", "not needed without an NVIDIA GPU")
    version = re.search(r"release ([\d.]+)", _nvcc(facts))
    if version is not None:
        return ok("CUDA toolkit", version[1])
    built = facts.module("pycuda")
    if built is not None and not _pycuda_problem(facts, built):
        return ok("CUDA toolkit", "none, and not needed: pycuda is built")
    major, minor = found.driver_cuda
    package = f"cuda-toolkit-{major}-{minor}" if jetpack else "nvidia-cuda-toolkit"
    return warn("CUDA toolkit", "none; pip needs it to build pycuda", as_root(facts, f"apt-get install {package}"))


def _nvcc(facts: Facts) -> str:
    return facts.output("nvcc --version") or facts.output("/usr/local/cuda/bin/nvcc --version") or ""


def tensorrt(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return TensorRT, or TensorRT-RTX where only that is there."""
    found = facts.gpu()
    name = tensorrt_module(facts)
    if name is None:
        if not isinstance(found, Gpu):
            return ok("TensorRT", _NOT_NEEDED)
        if jetpack is not None and jetpack.major == 5:
            why = "JetPack 5's is for Python 3.8, and ssd-edge needs 3.10: ONNX Runtime on the processor is used"
            return warn("TensorRT", why, "Flash JetPack 6 where the board takes it (Orin); Xavier stays on 5")
        return missing("TensorRT", "not installed", _install_tensorrt(found, jetpack, facts))
    module = facts.module(name)
    if not _usable(module):
        return missing(
            "TensorRT",
            f"{name} cannot be imported: {module.problem if module else ''}",
            _install_tensorrt(found, jetpack, facts),
        )
    version = f"{'TensorRT-RTX ' if name in _RTX_MODULES else ''}{module.version if module else ''}"
    return _judge_tensorrt(version, module, found, jetpack, facts)


def _judge_tensorrt(
    version: str, module: Module | None, found: Gpu | str, jetpack: JetPack | None, facts: Facts
) -> Line:
    from_pip = module is not None and "dist-packages" not in module.file
    if jetpack is not None and from_pip:
        return warn(
            "TensorRT",
            f"{version} from pip hides JetPack's own",
            f"pip uninstall -y tensorrt tensorrt-cu12 tensorrt-cu13; {as_root(facts, _APT_TENSORRT)}",
        )
    if not isinstance(found, Gpu):
        return ok("TensorRT", f"{version}, which can build but not run here")
    return ok("TensorRT", version)


def _install_tensorrt(found: Gpu | str, jetpack: JetPack | None, facts: Facts) -> str:
    if jetpack is not None:
        install, python = as_root(facts, _APT_TENSORRT), facts.python()
        return f"{install}; {let_see_system(python.venv)}" if python.venv and not python.sees_system else install
    series = "cu13" if isinstance(found, Gpu) and found.driver_cuda >= (13, 0) else "cu12"
    return f"pip install tensorrt-{series}"


def tensorrt_module(facts: Facts) -> str | None:
    """Return the name of the TensorRT module that is there; TensorRT itself before TensorRT-RTX."""
    return next((name for name in ("tensorrt", *_RTX_MODULES) if facts.module(name) is not None), None)


def plugins(facts: Facts) -> Line:
    """Return how the NMS node will run."""
    name = tensorrt_module(facts)
    if name is None or not _usable(facts.module(name)):
        return ok("NMS", "plain ONNX in the graph")
    if NMS_OP in facts.plugins(name):
        return ok("NMS", f"plugin {NMS_OP}")
    return ok("NMS", f"{NMS_OP} is not registered by this TensorRT; the builder puts plain ONNX in its place")


def pycuda(facts: Facts, jetpack: JetPack | None) -> Line:
    """Return pycuda, through which TensorRT engines get their memory and streams."""
    found = facts.module("pycuda")
    if not isinstance(facts.gpu(), Gpu):
        return ok("pycuda", found.version if found and found.version else _NOT_NEEDED)
    install = _PYCUDA if facts.output("nvcc --version") else f"PATH=/usr/local/cuda/bin:$PATH {_PYCUDA}"
    if jetpack is not None and not facts.paths(_PYTHON_HEADERS):
        install = f"{as_root(facts, 'apt-get install python3-dev')}; {install}"
    if found is None and tensorrt_module(facts) is None and jetpack is not None and jetpack.major == 5:
        return ok("pycuda", "not installed, and not needed without TensorRT")
    if found is None:
        return missing("pycuda", "not installed", install)
    problem = _pycuda_problem(facts, found)
    if problem:
        return missing("pycuda", f"cannot be imported: {problem}", f"{install} --force-reinstall --no-cache-dir")
    if _numbers(found.version) < _OLDEST_PYCUDA:
        return warn("pycuda", f"{found.version}, before CUDA 13 was known to it", f"{install} --upgrade")
    return ok("pycuda", found.version)


def _pycuda_problem(facts: Facts, package: Module) -> str:
    """Return why pycuda cannot be used; the package itself is Python alone, and what was compiled is behind it."""
    compiled = facts.module("pycuda.driver")
    return package.problem or (compiled.problem if compiled is not None else "")


def _usable(module: Module | None) -> bool:
    return module is not None and not module.problem


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
