"""``ssd-edge inspect``: what a file is, and what it can run on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.core.errors import InputError

Facts = Mapping[str, object]
_NAMED = 8


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .pt, .onnx, .engine, manifest, table of ranges, calibration set or ranking of layers.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show what a file is: classes, shapes, precision of its layers, ranges, digests, and what it can run on."""
    _refuse_no_file(path)
    facts = _reader(path)(path)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        return
    from ssd_edge.workflows.inspect import Lines

    wide = max(len(name) for name, value in facts.items() if not isinstance(value, Lines))
    for name, value in facts.items():
        if isinstance(value, Lines):
            typer.echo("\n".join([name, *(f"  {line}" for line in value)]))
        else:
            typer.echo(f"{name:<{wide}}  {_text(value)}")


def _refuse_no_file(path: Path) -> None:
    """Raise InputError where no file lies at ``path``; of a folder the files are named that can be shown."""
    from ssd_edge.core.files import path_kind

    kind = path_kind(path)
    if kind == "folder":
        held = sorted(entry.name for entry in path.iterdir() if entry.is_file() and _reader_of(entry) is not None)
        named = f"one file of it: {', '.join(held[:_NAMED])}" if held else "a model, an engine or a table"
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        raise InputError(f"{path} is a folder", wanted=named + more)
    if kind != "file":
        got = "no such file" if kind == "absent" else "a device, a pipe or a socket"
        raise InputError(f"{path} cannot be read", got=got, wanted="a model, an engine or a table")


def _reader(path: Path) -> Callable[[Path], Facts]:
    """Choose by the name what a file claims to be; its reader then says whether it is."""
    reader = _reader_of(path)
    if reader is None:
        raise InputError(
            f"{path} is nothing that ssd-edge makes",
            got=f"suffix {path.suffix!r}",
            wanted=", ".join(suffix for suffix, _ in _readers()),
            do=f"If it holds another project's weights: ssd-edge import {path}",
        )
    return reader


def _reader_of(path: Path) -> Callable[[Path], Facts] | None:
    return next((reader for suffix, reader in _readers() if path.name.endswith(suffix)), None)


def _readers() -> tuple[tuple[str, Callable[[Path], Facts]], ...]:
    """Return what reads the files of each suffix; the longer suffixes come first."""
    from ssd_edge.backends.tensorrt.layers import LAYERS_SUFFIX
    from ssd_edge.core.calibration_table import RANGES_SUFFIX
    from ssd_edge.quantization.image_set import SET_SUFFIX
    from ssd_edge.quantization.sensitivity import SENSITIVITY_SUFFIX
    from ssd_edge.workflows import inspect as engines
    from ssd_edge.workflows import inspect as files

    return (
        (RANGES_SUFFIX, files.ranges_facts),
        (SET_SUFFIX, files.image_set_facts),
        (SENSITIVITY_SUFFIX, files.sensitivity_facts),
        (LAYERS_SUFFIX, engines.layers_facts),
        (".json", engines.manifest_facts),
        (".engine", engines.engine_facts),
        (".onnx", files.onnx_facts),
        (".pt", files.checkpoint_facts),
    )


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)
