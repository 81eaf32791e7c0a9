"""The plugin registry, which is empty until the plugin library is initialized."""

from __future__ import annotations

from typing import Any

from tools.emulator.standin.releases import plugins_of
from tools.emulator.standin.world import TrtObject, World


def registered(world: World) -> tuple[str, ...]:
    """Return the names that are registered now."""
    known = plugins_of(world.release) if world.traits.plugins is None else world.traits.plugins
    return known if world.plugins_ready else ()


class IPluginCreator(TrtObject):
    """What makes one kind of plugin."""

    def __init__(self, name: str) -> None:
        self._plugin = name

    @property
    def name(self) -> str:
        return self._plugin

    @property
    def plugin_version(self) -> str:
        return "1"

    @property
    def plugin_namespace(self) -> str:
        return ""


class IPluginRegistry(TrtObject):
    """Lists creators, by ``plugin_creator_list`` until 10 and by ``all_creators`` from 10 on."""

    @property
    def plugin_creator_list(self) -> list[Any]:
        return [self._world.module.IPluginCreator(name) for name in registered(self._world)]

    @property
    def all_creators(self) -> list[Any]:
        return [self._world.module.IPluginCreator(name) for name in registered(self._world)]

    def get_creator(self, name: str, version: str, plugin_namespace: str = "") -> Any:
        return self._creator(name, version)

    def get_plugin_creator(self, type: str, version: str, plugin_namespace: str = "") -> Any:
        return self._creator(type, version)

    def _creator(self, name: str, version: str) -> Any:
        found = name in registered(self._world) and version == "1"
        return self._world.module.IPluginCreator(name) if found else None
