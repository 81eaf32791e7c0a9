"""Stand-in TensorRT modules with just the builder's attributes of a release; they record what they are asked for.

What each release has is NVIDIA's: NvInfer.h and the Python bindings of 8.5, 8.6, 10.3, 10.16 and 11. Whatever a release
lacks raises AttributeError here, as it would there. They parse and build nothing.
"""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

RELEASES = ("8.5.2.2", "8.6.2.3", "10.3.0", "10.16.2.10", "11.4.0.106")
WEAK_FLAGS = ("FP16", "INT8")


def release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


class Slots:
    """An object that takes only the attributes that it was made with, and records what is set and called."""

    def __init__(self, calls: list[tuple[Any, ...]], attributes: dict[str, Any]) -> None:
        object.__setattr__(self, "_calls", calls)
        object.__setattr__(self, "_attributes", dict(attributes))

    def __getattr__(self, name: str) -> Any:
        try:
            return self._attributes[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._attributes:
            raise AttributeError(name)
        self._calls.append(("set", name, value))
        self._attributes[name] = value


def make_tensorrt(
    version: str,
    *,
    parses: bool = True,
    builds: bool = True,
    plugins: tuple[str, ...] | None = None,
    dla_cores: int = 0,
) -> ModuleType:
    """A module of a release; ``calls`` on it lists what was asked for, in order."""
    trt = ModuleType("tensorrt")
    number = release(version)
    calls: list[tuple[Any, ...]] = []
    trt.__version__, trt.calls = version, calls
    if plugins is None:
        plugins = ("EfficientNMS_TRT",) if number >= (11, 0) else ("BatchedNMSDynamic_TRT", "EfficientNMS_TRT")
    _add_logging(trt)
    _add_enums(trt, number)
    _add_plugins(trt, number, plugins)
    _add_builder(trt, number, calls, parses=parses, builds=builds, dla_cores=dla_cores)
    if number < (11, 0):
        trt.IInt8EntropyCalibrator2 = type("IInt8EntropyCalibrator2", (), {})
    if number >= (9, 0):
        trt.IProgressMonitor = type("IProgressMonitor", (), {})
    return trt


def _add_logging(trt: ModuleType) -> None:
    levels = IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"], start=0)
    trt.ILogger = type("ILogger", (), {**{level.name: level for level in levels}, "Severity": levels})


def _add_enums(trt: ModuleType, number: tuple[int, int]) -> None:
    flags = ["GPU_FALLBACK", "REFIT", "TF32"]
    if number < (11, 0):
        flags = [*WEAK_FLAGS, *flags]
    if number >= (8, 6):
        flags.append("VERSION_COMPATIBLE")
    trt.BuilderFlag = IntEnum("BuilderFlag", flags, start=0)
    network = {}
    if number < (11, 0):
        network["EXPLICIT_BATCH"] = 0
    if number >= (9, 0):
        network["STRONGLY_TYPED"] = 0 if number >= (11, 0) else 1
    trt.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", network)
    trt.MemoryPoolType = IntEnum("MemoryPoolType", ["WORKSPACE"])
    trt.DeviceType = IntEnum("DeviceType", ["GPU", "DLA"], start=0)
    trt.ProfilingVerbosity = IntEnum("ProfilingVerbosity", ["LAYER_NAMES_ONLY", "NONE", "DETAILED"], start=0)
    if number >= (8, 6):
        trt.HardwareCompatibilityLevel = IntEnum("HardwareCompatibilityLevel", ["NONE", "AMPERE_PLUS"], start=0)


def _add_plugins(trt: ModuleType, number: tuple[int, int], plugins: tuple[str, ...]) -> None:
    initialised: list[str] = []

    def init(logger: Any, namespace: str) -> bool:
        initialised.append(namespace)
        return True

    def listed() -> list[Any]:
        return [SimpleNamespace(name=name) for name in plugins] if initialised else []

    class Registry:
        def __getattr__(self, name: str) -> Any:
            known = {"all_creators"} if number >= (10, 0) else set()
            known |= {"plugin_creator_list"} if number < (11, 0) else set()
            if name not in known:
                raise AttributeError(name)
            return listed()

    trt.init_libnvinfer_plugins, trt.get_plugin_registry = init, Registry


def _recorder(calls: list[tuple[Any, ...]]) -> Any:
    def call(name: str, result: Any = None) -> Any:
        def method(*arguments: Any) -> Any:
            calls.append((name, *arguments))
            return result

        return method

    return call


def _config_attributes(number: tuple[int, int], call: Any) -> dict[str, Any]:
    """What IBuilderConfig has in a release."""
    cache = SimpleNamespace(serialize=lambda: b"what was measured")
    config = {
        "profiling_verbosity": None,
        "set_memory_pool_limit": call("set_memory_pool_limit"),
        "set_flag": call("set_flag"),
        "add_optimization_profile": call("add_optimization_profile"),
        "create_timing_cache": call("create_timing_cache", cache),
        "set_timing_cache": call("set_timing_cache", True),
        "get_timing_cache": call("get_timing_cache", cache),
        "default_device_type": None,
        "DLA_core": -1,
    }
    if number < (11, 0):
        config["int8_calibrator"] = None
    if number >= (8, 6):
        config |= {"builder_optimization_level": 3, "hardware_compatibility_level": 0}
    if number >= (9, 0):
        config["progress_monitor"] = None
    return config


def _add_builder(
    trt: ModuleType,
    number: tuple[int, int],
    calls: list[tuple[Any, ...]],
    *,
    parses: bool,
    builds: bool,
    dla_cores: int,
) -> None:
    call = _recorder(calls)
    profile = SimpleNamespace(set_shape=call("set_shape"))
    network = SimpleNamespace(get_input=lambda _: SimpleNamespace(name="images", shape=(-1, 128, 128, 3)))

    class Builder:
        num_DLA_cores = dla_cores  # noqa: N815 - TensorRT's name

        def __init__(self, logger: Any) -> None:
            self._logger = logger

        def create_network(self, flags: int) -> Any:
            calls.append(("create_network", flags))
            return network

        def create_builder_config(self) -> Any:
            return Slots(calls, _config_attributes(number, call))

        def create_optimization_profile(self) -> Any:
            return profile

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            calls.append(("build",))
            if not builds:
                self._logger.log(trt.ILogger.ERROR, "Could not find any implementation for node conv1")
                return None
            return b"plan"

    class OnnxParser:
        num_errors = 0 if parses else 1

        def __init__(self, network: Any, logger: Any) -> None:
            pass

        def parse(self, data: bytes) -> bool:
            calls.append(("parse", data))
            return parses

        def get_error(self, number: int) -> str:
            return "In node 7: No importer registered for op: Nonsense"

    trt.Builder, trt.OnnxParser = Builder, OnnxParser
