"""TensorRT or TensorRT-RTX, and the plugins that it registers."""

from __future__ import annotations

from ssd_edge.core.graph_contract import NMS_OP
from ssd_edge.doctor.check import CheckResult, as_root, is_container, let_see_system, missing, ok, warn
from ssd_edge.doctor.facts import Facts, Gpu, Module
from ssd_edge.doctor.jetpack import JetPack

NOT_NEEDED = "not installed, and not needed without an NVIDIA GPU"
# JetPack's own TensorRT, which is the one that its driver and DeepStream go with.
_APT_TENSORRT = "apt-get install python3-libnvinfer libnvinfer-plugin-dev"
_RTX_MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings")
_CUDA_13 = (13, 0)
_OF_CUDA_13 = {"tensorrt": "tensorrt-cu13", **dict.fromkeys(_RTX_MODULES, "tensorrt-rtx-cu13-libs")}
_OF_CUDA_12 = {"tensorrt-cu13": "tensorrt-cu12"}  # there is no TensorRT-RTX of today's for CUDA 12


def tensorrt(facts: Facts, jetpack: JetPack | None) -> CheckResult:
    """Return TensorRT, or TensorRT-RTX where only that is there."""
    found = facts.gpu()
    name = tensorrt_module(facts)
    if name is None:
        if not isinstance(found, Gpu):
            return ok("TensorRT", NOT_NEEDED)
        if jetpack is not None and jetpack.major == 5:
            why = "JetPack 5's is for Python 3.8, and ssd-edge needs 3.10: ONNX Runtime on the processor is used"
            return warn("TensorRT", why, "Flash JetPack 6 if the board supports it (Orin); Xavier stays on JetPack 5")
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
) -> CheckResult:
    from_pip = module is not None and "dist-packages" not in module.file
    if jetpack is not None and from_pip:
        return warn(
            "TensorRT",
            f"{version} from pip hides JetPack's own",
            f"pip uninstall -y tensorrt tensorrt-cu12 tensorrt-cu13; {as_root(facts, _APT_TENSORRT)}",
        )
    if not isinstance(found, Gpu):
        return ok("TensorRT", f"{version}, which can build but not run here")
    wheel = _OF_CUDA_13[tensorrt_module(facts) or "tensorrt"]
    if found.driver_cuda < _CUDA_13 and facts.distribution(wheel) is not None:
        major, minor = found.driver_cuda
        why = f"{version} of {wheel}, and this driver runs programs up to CUDA {major}.{minor}"
        return missing("TensorRT", why, _mend_series(wheel, facts))
    return ok("TensorRT", version)


def _mend_series(wheel: str, facts: Facts) -> str:
    """Return how the wheel and the driver come together; an engine belongs to a release, so that stays."""
    driver = "NVIDIA's driver 580 or newer" + " on the host" * is_container(facts)
    if wheel not in _OF_CUDA_12:
        return f"Install {driver}"
    gone = f"pip uninstall -y tensorrt {wheel} {wheel}-bindings {wheel}-libs"
    return f"{gone}; pip install {_OF_CUDA_12[wheel]}=={facts.distribution(wheel)}  # or install {driver}"


def _install_tensorrt(found: Gpu | str, jetpack: JetPack | None, facts: Facts) -> str:
    if jetpack is not None:
        install, python = as_root(facts, _APT_TENSORRT), facts.python()
        return f"{install}; {let_see_system(python.venv)}" if python.venv and not python.sees_system else install
    series = "cu13" if isinstance(found, Gpu) and found.driver_cuda >= _CUDA_13 else "cu12"
    return f"pip install tensorrt-{series}"


def tensorrt_module(facts: Facts) -> str | None:
    """Return the name of the TensorRT module that is there; TensorRT itself before TensorRT-RTX."""
    return next((name for name in ("tensorrt", *_RTX_MODULES) if facts.module(name) is not None), None)


def plugins(facts: Facts) -> CheckResult:
    """Return how the NMS node will run."""
    name = tensorrt_module(facts)
    if name is None or not _usable(facts.module(name)):
        return ok("NMS", "plain ONNX in the graph")
    if NMS_OP in facts.plugins(name):
        return ok("NMS", f"plugin {NMS_OP}")
    return ok("NMS", f"{NMS_OP} is not in this TensorRT; the builder uses plain ONNX instead")


def _usable(module: Module | None) -> bool:
    return module is not None and not module.problem
