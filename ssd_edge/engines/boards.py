"""Device profiles: what a board is built for with, where the command line does not say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_text
from ssd_edge.core.text_parsers import parse_toml

_IN_WORKSPACE = Path("engines") / "targets"
_INSTALLED = Path(__file__).parent / "targets"
_IN_CLONE = Path(__file__).parents[2] / "engines" / "targets"
_KINDS = {"description": (str,), "workspace_gib": (int, float), "opt_level": (int,)}
_EXAMPLE = 'description = "a board", workspace_gib = 1.5, opt_level = 3, compute_capabilities = [86, 120]'


@dataclass(frozen=True)
class DeviceProfile:
    """Defaults of a device; None where TensorRT's own is as good.

    Attributes:
        description: the boards that it is for.
        workspace_gib, opt_level: see :class:`~ssd_edge.engines.options.TrtOptions`.
        compute_capabilities: of its GPUs, for TensorRT-RTX.
    """

    description: str
    workspace_gib: float | None = None
    opt_level: int | None = None
    compute_capabilities: tuple[int, ...] = ()


def load_profile(name: str, workspace: Path = Path()) -> DeviceProfile:
    """Return a profile by its file's name: the workspace's own, else the one that came with ssd-edge.

    Raises:
        InputError: there is none of the name, or its file cannot be understood.
    """
    for folder in _folders(workspace):
        path = folder / f"{name}.toml"
        if path.is_file():
            return _read(path)
    known = sorted({path.stem for folder in _folders(workspace) for path in folder.glob("*.toml")})
    raise InputError(
        f"there is no device profile {name!r}", wanted=", ".join(known), do=f"Write {_IN_WORKSPACE / name}.toml"
    )


def _folders(workspace: Path) -> list[Path]:
    return [folder for folder in (workspace / _IN_WORKSPACE, _INSTALLED, _IN_CLONE) if folder.is_dir()]


def _read(path: Path) -> DeviceProfile:
    try:
        fields: dict[str, Any] = parse_toml(read_text(path))
        wrong = [f"{name} = {value!r}" for name, value in fields.items() if not _fits(name, value)]
        if wrong or "description" not in fields:
            raise ValueError(", ".join(wrong) or "no description")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is no device profile", got=f"{type(error).__name__}: {error}", wanted=f"lines as in: {_EXAMPLE}"
        ) from error
    return DeviceProfile(**{**fields, "compute_capabilities": tuple(fields.get("compute_capabilities", ()))})


def _fits(name: str, value: object) -> bool:
    """Whether a profile may say this; a truth is no number."""
    if name == "compute_capabilities":
        return isinstance(value, list) and all(type(number) is int for number in value)
    return type(value) in _KINDS.get(name, ())
