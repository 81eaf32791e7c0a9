"""Board profiles: defaults of the TensorRT options for a board (``build --board NAME``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_text
from ssd_edge.core.text_parsers import parse_toml

_IN_WORKSPACE = Path("engines") / "boards"
_BEFORE = Path("engines") / "targets"  # its name in earlier releases
_INSTALLED = Path(__file__).parent / "boards"
_IN_CLONE = Path(__file__).parents[2] / "engines" / "boards"
_KINDS = {"description": (str,), "builder_memory_gib": (int, float), "opt_level": (int,)}
_LISTS: dict[str, type] = {"compute_capabilities": int, "models": str}
_MODEL = Path("/proc/device-tree/model")
_OLD_KEYS = {"workspace_gib": "builder_memory_gib"}
_EXAMPLE = 'description = "a board", builder_memory_gib = 1.5, opt_level = 3, compute_capabilities = [86, 120]'


@dataclass(frozen=True)
class BoardProfile:
    """Defaults of a board; None for TensorRT's own default.

    Attributes:
        description: boards that the profile is for.
        builder_memory_gib, opt_level: see :class:`~ssd_edge.engines.options.TrtOptions`.
        compute_capabilities: compute capabilities of the GPUs, for TensorRT-RTX.
        models: what the board calls itself in its device tree, or a part of that; the profile is taken by itself there.
    """

    description: str
    builder_memory_gib: float | None = None
    opt_level: int | None = None
    compute_capabilities: tuple[int, ...] = ()
    models: tuple[str, ...] = ()


def find_board(workspace: Path = Path()) -> str:
    """Return the name of the profile of the board that this runs on; empty on other machines, and where none fits."""
    try:
        model = _MODEL.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    except OSError:
        return ""
    names = sorted({path.stem for folder in _folders(workspace) for path in folder.glob("*.toml")})
    fits = {name: load_profile(name, workspace).models for name in names}
    return next((name for name, models in fits.items() if any(part in model for part in models)), "")


def load_profile(name: str, workspace: Path = Path()) -> BoardProfile:
    """Return a profile by name: the workspace's ``engines/boards/<name>.toml``, or the one that ssd-edge ships.

    Raises:
        InputError: there is no such profile, or its file is invalid.
    """
    for folder in _folders(workspace):
        path = folder / f"{name}.toml"
        if path.is_file():
            return _read(path)
    known = sorted({path.stem for folder in _folders(workspace) for path in folder.glob("*.toml")})
    raise InputError(
        f"there is no board profile {name!r}",
        wanted=", ".join(known),
        do=f"Choose one of these, or write {_IN_WORKSPACE / name}.toml.",
    )


def _folders(workspace: Path) -> list[Path]:
    return [
        folder for folder in (workspace / _IN_WORKSPACE, workspace / _BEFORE, _INSTALLED, _IN_CLONE) if folder.is_dir()
    ]


def _read(path: Path) -> BoardProfile:
    try:
        found = parse_toml(read_text(path))
        fields: dict[str, Any] = {_OLD_KEYS.get(name, name): value for name, value in found.items()}
        wrong = [f"{name} = {value!r}" for name, value in fields.items() if not _fits(name, value)]
        if wrong or "description" not in fields:
            raise ValueError(", ".join(wrong) or "no description")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a board profile", got=str(error), wanted=f"lines such as: {_EXAMPLE}"
        ) from error
    return BoardProfile(**{**fields, **{name: tuple(fields.get(name, ())) for name in _LISTS}})


def _fits(name: str, value: object) -> bool:
    """Return whether the value has the key's type; bool is not accepted as a number."""
    if name in _LISTS:
        return isinstance(value, list) and all(type(entry) is _LISTS[name] for entry in value)
    return type(value) in _KINDS.get(name, ())
