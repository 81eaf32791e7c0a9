"""Builder: a network and a config become a plan, or are refused for TensorRT's reasons."""

from __future__ import annotations

import threading
from typing import Any

from tools.emulator.standin.build_rules import refusals
from tools.emulator.standin.device import CudaError
from tools.emulator.standin.layers import chosen_half, run_in_half
from tools.emulator.standin.logger import check_logger
from tools.emulator.standin.memory import host_memory
from tools.emulator.standin.plan import Header, pack
from tools.emulator.standin.releases import NMS_PLUGINS, is_8
from tools.emulator.standin.world import TrtObject

_PHASE, _STEPS = "Building an engine from network", 4
_INNER_PHASE = "Tactic selection"
_SCRATCH = 1 << 20
_AMPERE = 80
_SHORT = "Tactic Device request: 720MB Available: 650MB. Device memory is insufficient to use tactic."


class Builder(TrtObject):
    """Needs a GPU that answers, but for TensorRT-RTX, which builds for others."""

    def __init__(self, logger: Any) -> None:
        check_logger(logger)
        self._logger = logger
        self._world.require_cuda(logger, self._world.device.problem())

    @property
    def logger(self) -> Any:
        return self._logger

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802 - TensorRT's name
        return self._world.traits.dla_cores

    @property
    def platform_has_fast_fp16(self) -> bool:
        return True

    @property
    def platform_has_fast_int8(self) -> bool:
        return True

    def create_network(self, flags: int = 0) -> Any:
        self._world.calls.append(("create_network", flags))
        known = self._world.surface.enum_members("NetworkDefinitionCreationFlag") or {}
        unknown = int(flags) & ~sum(1 << value for value in known.values())
        if unknown:
            self._world.refuse(self._logger, f"createNetworkV2: Parameter check failed: flags {flags:#b}")
            return None
        return self._world.module.INetworkDefinition(self, int(flags))

    def create_builder_config(self) -> Any:
        return self._world.module.IBuilderConfig(self, self._logger)

    def create_optimization_profile(self) -> Any:
        return self._world.module.IOptimizationProfile()

    def get_plugin_registry(self) -> Any:
        return self._world.module.get_plugin_registry()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        module = self._world.module
        if not isinstance(network, module.INetworkDefinition) or not isinstance(config, module.IBuilderConfig):
            raise TypeError("build_serialized_network(): incompatible function arguments")
        self._world.calls.append(("build",))
        if not self._world.traits.builds:
            return self._world.say(self._logger, "ERROR", "Could not find any implementation for node conv1")
        if network._builder() is not self or network._parser() is None:
            return self._world.refuse(self._logger, "the network's builder or parser, which owns its weights, is gone")
        problem = next(iter(refusals(self._world, network, config)), "")
        if problem:
            return self._world.refuse(self._logger, problem, misuse=False)
        if fused := self._without_kernel(network._model):
            if self._world.traits.short_of_memory:
                self._world.say(self._logger, "WARNING", _SHORT)
            message = f"Error Code 10: Internal Error (Could not find any implementation for node {fused}.)"
            return self._world.say(self._logger, "ERROR", message)
        self._warn_of_fallback(network, config)
        return self._plan(network, config) if self._timed(config) else None

    def _warn_of_fallback(self, network: Any, config: Any) -> None:
        """Say of each node that no DLA has that the GPU runs it."""
        if config.default_device_type.name != "DLA":
            return
        for node in network._model.graph.node:
            if node.op_type not in ("Conv", "Relu"):
                what = f"Layer '{node.name}' ({node.op_type.upper()}): Unsupported on DLA."
                self._world.say(self._logger, "WARNING", f"{what} Switching this layer's device type to GPU.")

    def _without_kernel(self, model: Any) -> str:
        """Return the fused layer for which there is no INT8 kernel, as TensorRT names it; empty where all have one."""
        made = {name: node for node in model.graph.node for name in node.output}
        for node in model.graph.node:
            inputs = [made[name].op_type for name in node.input[:2] if name in made]
            if node.name == self._world.traits.no_int8_kernel and "DequantizeLinear" in inputs:
                return f"{node.name}.weight + {node.name} + PWN(PWN({node.name}.sigmoid), {node.name}.relu)"
        return ""

    def _timed(self, config: Any) -> bool:
        """Time kernels on the GPU, step by step; False where there is no memory, or the monitor wants to stop."""
        device = self._world.device
        if self._world.release == "rtx":  # times nothing while it builds, and needs no GPU
            return self._monitored(config)
        device.enter()
        try:
            scratch = device.allocate(_SCRATCH)
        except CudaError as error:
            self._world.say(self._logger, "ERROR", f"Requested amount of GPU memory could not be allocated: {error}")
            device.leave()
            return False
        try:
            config._measure()
            return self._monitored(config)
        finally:
            device.free(scratch)
            device.leave()

    def _monitored(self, config: Any) -> bool:
        monitor = vars(config).get("_progress_monitor")
        if monitor is None:
            return True
        going: list[bool] = []

        def report() -> None:
            monitor.phase_start(_PHASE, None, _STEPS)
            monitor.phase_start(_INNER_PHASE, _PHASE, 1)
            going.append(monitor.step_complete(_INNER_PHASE, 0))
            monitor.phase_finish(_INNER_PHASE)
            going.extend(monitor.step_complete(_PHASE, step) for step in range(_STEPS))
            monitor.phase_finish(_PHASE)

        worker = threading.Thread(target=report)
        worker.start()
        worker.join()
        return len(going) == 1 + _STEPS and all(going)

    def _plan(self, network: Any, config: Any) -> Any:
        release = self._world.release
        model = network._model
        half = chosen_half(
            network._layers, config._flags_set, typed=network._has("STRONGLY_TYPED") or release in ("11.4", "rtx")
        )
        detailed = config.profiling_verbosity == self._world.module.ProfilingVerbosity.DETAILED
        header = Header(
            release=release, version=self._world.version, sm=self._capabilities(config),
            profiles=[[shape[0] for shape in shapes] for shapes in _batches(network, config)],
            static=network.get_input(0).shape[0] != -1,
            shared_profiles=not is_8(release) or "PROFILE_SHARING_0806" in config._previews,
            plugin=any(node.op_type in NMS_PLUGINS for node in model.graph.node),
            version_compatible="VERSION_COMPATIBLE" in config._flags_set,
            hardware=getattr(vars(config).get("_hardware_compatibility_level"), "name", "NONE"),
            user_allocation="REQUIRE_USER_ALLOCATION" in config._flags_set,
            half=half, detailed=detailed, dla=config.DLA_core if config.default_device_type.name == "DLA" else None,
        )  # fmt: skip
        return host_memory(self._world, pack(header, run_in_half(model, half).SerializeToString()))

    def _capabilities(self, config: Any) -> list[int]:
        if self._world.release != "rtx":
            return [self._world.device.capability()]
        chosen = list(config._capabilities.values())
        known = self._world.surface.enum_members("ComputeCapability") or {}
        return chosen or [value for value in known.values() if value >= _AMPERE]


def _batches(network: Any, config: Any) -> list[list[tuple[int, ...]]]:
    """Return least, best and most shape of each profile; a static network has one without being told."""
    images = network.get_input(0)
    found = [profile.get_shape(images.name) for profile in config._profiles]
    return found or [[tuple(images.shape)] * 3]
