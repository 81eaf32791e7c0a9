"""What the objects of one stand-in module share, and how they are cut to a release."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tools.emulator.standin.device import Device
from tools.emulator.standin.releases import is_8
from tools.emulator.surface import Surface


@dataclass
class Traits:
    """What a test may change about a release.

    Attributes:
        parses, builds: False: the parser or the builder fails.
        plugins: that the library registers; None: the release's own.
        dla_cores: of the board.
        no_int8_kernel: name of the convolution for which there is no INT8 kernel.
        short_of_memory: the kernels that there are for it need more memory than is free.
        cuda_problem: code of the error with which CUDA does not start, e.g. 35 where the driver is too old.
    """

    parses: bool = True
    builds: bool = True
    plugins: tuple[str, ...] | None = None
    dla_cores: int = 0
    cuda_problem: int = 0
    no_int8_kernel: str = ""
    short_of_memory: bool = False


@dataclass
class World:
    """A module of a release.

    Attributes:
        calls: what was asked for, in order, as (name, arguments...).
        plugins_ready: the plugin library was initialized.
        compiled: kernels that TensorRT-RTX had to compile.
    """

    release: str
    version: str
    device: Device
    traits: Traits
    module: ModuleType
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    plugins_ready: bool = False
    compiled: int = 0

    @property
    def surface(self) -> Surface:
        return Surface(self.release)

    def say(self, logger: Any, severity: str, message: str) -> None:
        logger.log(getattr(self.module.ILogger, severity), message)

    def require_cuda(self, logger: Any, problem: int = 0) -> None:
        """Raise TypeError, as pybind11 does, where CUDA does not start; 8.x says why in a warning."""
        problem = problem or self.traits.cuda_problem
        if problem and self.release != "rtx":
            severity = "WARNING" if is_8(self.release) else "ERROR"
            self.say(logger, severity, f"CUDA initialization failure with error: {problem}")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def refuse(self, logger: Any, message: str, *, misuse: bool = True) -> None:
        """Log an error; a misuse is also a fault in the driver's report."""
        self.say(logger, "ERROR", message)
        if misuse:
            self.device.fault(message)


class TrtObject:
    """What the module's objects have in common: no attribute can be set but those of their class."""

    _world: World

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)


class Field:
    """A property that takes values of one type: a type, or the name of one of the module's enums."""

    def __init__(self, kind: type | tuple[type, ...] | str, default: Any = None) -> None:
        self._kind, self._default = kind, default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, thing: TrtObject | None, owner: type) -> Any:
        if thing is None:
            return self
        default = self._default
        if isinstance(self._kind, str) and isinstance(default, str):
            default = getattr(getattr(thing._world.module, self._kind), default)
        return vars(thing).get(f"_{self._name}", default)

    def __set__(self, thing: TrtObject, value: Any) -> None:
        module = thing._world.module
        kind = getattr(module, self._kind) if isinstance(self._kind, str) else self._kind
        if not isinstance(value, kind):
            raise TypeError(f"(): incompatible function arguments: {self._name} = {value!r}")
        vars(thing)[f"_{self._name}"] = value
        thing._world.calls.append(("set", self._name, value))


class Unrehearsed:
    """A name that the release has and the stand-in does not act out: it is there, and using it fails loudly."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"the stand-in does not act out {self._name}")

    def __set__(self, thing: Any, value: Any) -> None:
        self()

    def __get__(self, thing: Any, owner: type) -> Unrehearsed:
        return self


def fitted(world: World, name: str, whole: type) -> type:
    """Return a class with the public names that its release has, of a class that has those of all releases."""
    allowed = world.surface.class_names(name)
    body = {
        key: value
        for key, value in vars(whole).items()
        if key in allowed or (key.startswith("_") and key not in ("__dict__", "__weakref__"))
    }
    body.update({key: Unrehearsed(f"{name}.{key}") for key in allowed - body.keys()})
    return type(name, whole.__bases__, {**body, "_world": world})
