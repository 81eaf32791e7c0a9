"""Puts a module together: enums and classes of a release, from what ``surface.json`` says of it."""

from __future__ import annotations

import enum
from types import ModuleType
from typing import Any

from tools.emulator.standin import logger
from tools.emulator.standin.builder import Builder
from tools.emulator.standin.config import (
    IBuilderConfig,
    IInt8EntropyCalibrator2,
    IOptimizationProfile,
    IProgressMonitor,
    ITimingCache,
)
from tools.emulator.standin.context import IExecutionContext
from tools.emulator.standin.device import Device, Emulated
from tools.emulator.standin.engine import ICudaEngine
from tools.emulator.standin.inspector import EngineInspector
from tools.emulator.standin.memory import Dims
from tools.emulator.standin.network import INetworkDefinition, ITensor, OnnxParser, ParserError
from tools.emulator.standin.plugins import IPluginCreator, IPluginRegistry
from tools.emulator.standin.releases import RELEASES, module_name
from tools.emulator.standin.runtime import Runtime
from tools.emulator.standin.runtime_cache import IRuntimeCache, IRuntimeConfig
from tools.emulator.standin.world import Traits, Unrehearsed, World, fitted

ACTED_OUT = (
    Builder, EngineInspector, IBuilderConfig, ICudaEngine, IExecutionContext, INetworkDefinition, IOptimizationProfile,
    IPluginCreator, IPluginRegistry, IRuntimeCache, IRuntimeConfig, ITensor, ITimingCache, OnnxParser, ParserError,
    Runtime,
)  # fmt: skip
# Python derives from these, or they are values.
AS_THEY_ARE = (logger.ILogger, logger.Logger, IProgressMonitor, IInt8EntropyCalibrator2, Dims)
# pybind11 gives these no public constructor.
_PRIVATE = {"ITensor": "_tensor"}


def make_module(
    release: str, *, version: str | None = None, device: Device | None = None, traits: Traits | None = None
) -> ModuleType:
    """Return a stand-in; put it into ``sys.modules`` as :func:`~tools.emulator.standin.releases.module_name`."""
    module = ModuleType(module_name(release))
    fill(module, release, version=version, device=device, traits=traits)
    return module


def fill(
    module: ModuleType,
    release: str,
    *,
    version: str | None = None,
    device: Device | None = None,
    traits: Traits | None = None,
) -> None:
    """Give a module the names of a release; what the test wants to know of it is its ``_standin``."""
    world = World(release, version or RELEASES[release], device or Emulated(), traits or Traits(), module)
    things: dict[str, Any] = {"__version__": world.version, "_standin": world}
    names = world.surface.module_names()
    for name in names:
        members = world.surface.enum_members(name)
        things[name] = _enum(name, members) if members else Unrehearsed(name)
    for whole in ACTED_OUT:
        if whole.__name__ in names:
            made = fitted(world, whole.__name__, whole)
            things[whole.__name__] = made
            things[_PRIVATE.get(whole.__name__, whole.__name__)] = made
    things.update({whole.__name__: whole for whole in AS_THEY_ARE if whole.__name__ in names})
    things.update({name: entry for name, entry in _functions(world).items() if name in names})
    vars(module).update(things)


def _enum(name: str, members: dict[str, int]) -> Any:
    made: Any = enum.IntEnum(name, members)
    made.__str__ = lambda self: f"{type(self).__name__}.{self.name}"  # as pybind11's, and as no Python's since 3.11
    return made


def _functions(world: World) -> dict[str, Any]:
    def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
        world.plugins_ready = True
        return True

    return {
        "init_libnvinfer_plugins": init_libnvinfer_plugins,
        "get_plugin_registry": lambda: world.module.IPluginRegistry(),
    }
