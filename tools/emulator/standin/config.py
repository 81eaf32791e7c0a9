"""IBuilderConfig and what is set in it: profiles, timing cache, calibrator, progress monitor."""

from __future__ import annotations

import json
from typing import Any

from tools.emulator.standin.memory import host_memory
from tools.emulator.standin.world import Field, TrtObject

_MEASURED = b"what was measured"
_LEAST_POOL = 4096  # and a power of 2


class IOptimizationProfile(TrtObject):
    """Least, best and most images of a dynamic input."""

    def __init__(self) -> None:
        self._shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self._shapes[input] = [tuple(int(size) for size in shape) for shape in (min, opt, max)]
        self._world.calls.append(("set_shape", input, *self._shapes[input]))

    def get_shape(self, input: str) -> list[tuple[int, ...]]:
        return self._shapes[input]


class ITimingCache(TrtObject):
    """What the builder measured on this device with this release."""

    def __init__(self, content: bytes, *, foreign: bool = False) -> None:
        self._content, self._foreign = content, foreign

    def serialize(self) -> Any:
        origin = {"version": self._world.version, "sm": self._world.device.capability()}
        return host_memory(self._world, json.dumps(origin).encode() + b"\n" + self._content)

    def reset(self) -> bool:
        self._content = b""
        return True


class IProgressMonitor:
    """To be derived from; called by the builder on a thread of its own."""

    def __init__(self) -> None:
        self._made = True

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise RuntimeError("Tried to call pure virtual function")

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise RuntimeError("Tried to call pure virtual function")

    def phase_finish(self, phase_name: str) -> None:
        raise RuntimeError("Tried to call pure virtual function")


class IInt8EntropyCalibrator2:
    """To be derived from; its ``__init__`` must be called by name."""

    def __init__(self) -> None:
        self._made = True

    def get_algorithm(self) -> str:
        return "ENTROPY_CALIBRATION_2"

    def get_batch_size(self) -> int:
        raise RuntimeError("Tried to call pure virtual function")

    def get_batch(self, names: list[str]) -> list[int] | None:
        raise RuntimeError("Tried to call pure virtual function")

    def read_calibration_cache(self) -> bytes | None:
        raise RuntimeError("Tried to call pure virtual function")

    def write_calibration_cache(self, cache: Any) -> None:
        raise RuntimeError("Tried to call pure virtual function")


class IBuilderConfig(TrtObject):
    """How an engine is to be built."""

    profiling_verbosity = Field("ProfilingVerbosity", "LAYER_NAMES_ONLY")
    builder_optimization_level = Field(int, 3)
    hardware_compatibility_level = Field("HardwareCompatibilityLevel", "NONE")
    default_device_type = Field("DeviceType", "GPU")
    DLA_core = Field(int, -1)
    max_aux_streams = Field(int, -1)
    int8_calibrator = Field(IInt8EntropyCalibrator2)
    progress_monitor = Field(IProgressMonitor)
    num_compute_capabilities = Field(int, 0)

    def __init__(self, builder: Any, logger: Any) -> None:
        self._builder, self._logger = builder, logger
        self._flags_set: set[str] = set()
        self._previews: set[str] = set()
        self._profiles: list[Any] = []
        self._limits: dict[str, int] = {}
        self._capabilities: dict[int, int] = {}
        self._cache: Any = None

    def set_flag(self, flag: Any) -> None:
        self._note("set_flag", self._world.module.BuilderFlag, flag)
        self._flags_set.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self._note("clear_flag", self._world.module.BuilderFlag, flag)
        self._flags_set.discard(flag.name)

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self._flags_set

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        self._note("set_preview_feature", self._world.module.PreviewFeature, feature, enable)
        (self._previews.add if enable else self._previews.discard)(feature.name)

    def get_preview_feature(self, feature: Any) -> bool:
        return feature.name in self._previews

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        """Take it, or leave the limit as it was: as TensorRT-RTX 1.7 does, see ``test_against_rtx.py``."""
        self._note("set_memory_pool_limit", self._world.module.MemoryPoolType, pool, pool_size)
        is_free = pool.name in ("WORKSPACE", "TACTIC_SHARED_MEMORY")
        if is_free or (pool_size >= _LEAST_POOL and pool_size.bit_count() == 1):
            self._limits[pool.name] = pool_size
            return
        condition = "static_cast<int64_t>(poolSize) >= kDLA_MIN_MEMORY_POOL_SIZE && std::has_single_bit(poolSize)"
        message = f"IBuilderConfig::setMemoryPoolLimit: Error Code 3: API Usage Error ({condition})"
        self._world.refuse(self._logger, message)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self._limits.get(pool.name, 1 << 33)

    def add_optimization_profile(self, profile: Any) -> int:
        self._note("add_optimization_profile", self._world.module.IOptimizationProfile, profile)
        self._profiles.append(profile)
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        self._note("set_compute_capability", self._world.module.ComputeCapability, compute_capability, index)
        if not 0 <= index < self.num_compute_capabilities:
            self._world.refuse(self._logger, "set_compute_capability: index out of range")
            return False
        self._capabilities[index] = int(compute_capability)
        return True

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        """A cache that is damaged, or of another release, is empty; of another device it is foreign."""
        given = bytes(memoryview(serialized_timing_cache))
        self._world.calls.append(("create_timing_cache", given))
        origin, _, content = given.partition(b"\n")
        try:
            fields = json.loads(origin) if given else {}
            known = not given or fields["version"] == self._world.version
        except (ValueError, TypeError, KeyError):
            known = False
        if not known:
            self._world.say(self._logger, "WARNING", "The timing cache will not be used!")
            return self._world.module.ITimingCache(b"")
        foreign = bool(given) and fields["sm"] != self._world.device.capability()
        return self._world.module.ITimingCache(content, foreign=foreign)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._note("set_timing_cache", self._world.module.ITimingCache, cache, ignore_mismatch)
        if cache._foreign and not ignore_mismatch:
            self._world.say(self._logger, "ERROR", "the timing cache was made on another device")
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        self._world.calls.append(("get_timing_cache",))
        return self._cache

    def _measure(self) -> None:
        """What a build leaves in the cache."""
        if self._cache is not None:
            self._cache._content = _MEASURED

    def _note(self, call: str, kind: type, first: Any, *others: Any) -> None:
        if not isinstance(first, kind):
            raise TypeError(f"{call}(): incompatible function arguments: {first!r}")
        self._world.calls.append((call, first, *others))
