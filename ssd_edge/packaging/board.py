"""The package for a board or a computer with cameras: a workspace, its streams, a service and what installs it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ssd_edge.core.choices import Host, VariantForm
from ssd_edge.core.workspace_records import ENGINES
from ssd_edge.packaging.contents import PackagedModel, copy_exported, write_common, write_template

WORKSPACE, WHEELS = "workspace", "wheels"
STREAMS_NAME, UNIT_NAME, INSTALL_NAME = "streams.toml", "ssd-edge.service", "install.sh"


def write_board(folder: Path, model: PackagedModel, *, table: Path | None, wheel: Path | None) -> None:
    """Write the package.

    Args:
        folder: empty.
        model: to package.
        table: its calibration table, with which the board can build in INT8; None where it has none.
        wheel: of ssd-edge, for a board that has no ssd-edge; None where it has.

    Raises:
        OSError: a file cannot be written.
    """
    name = model.name
    onnx = f"{ENGINES}/{name}/{name}.onnx"
    copy_exported(model, folder / WORKSPACE / onnx)
    for source, place in ((table, f"{WORKSPACE}/calibration"), (wheel, WHEELS)):
        if source is not None:
            (folder / place).mkdir(parents=True)
            shutil.copyfile(source, folder / place / source.name)
    unit = f"ssd-edge-{slug(name)}"
    values = {
        "name": name,
        "slug": slug(name),
        "described": name.replace("%", "%%"),  # which systemd would put something in for
        "unit": unit,
        "onnx": onnx,
        "quoted_onnx": onnx.replace("'", "'\\''"),
        "int8": "has" if table is not None else "does not have",
    }
    write_template(STREAMS_NAME, folder / WORKSPACE / STREAMS_NAME, values)
    write_template(UNIT_NAME, folder / UNIT_NAME, values)
    write_template(INSTALL_NAME, folder / INSTALL_NAME, values, executable=True)
    write_common(folder, Host.BOARD, model, {"onnxruntime": (VariantForm.PORTABLE, f"{WORKSPACE}/{onnx}")})
    write_template("board.md", folder / "README.md", values)


def slug(name: str) -> str:
    """Return a model's name as a folder, a service and a shell take it without quotes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
