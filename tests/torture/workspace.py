"""A small workspace in which every long command has something to do, and what must hold of it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": (
        "train", "voc", "--name", "again", "--epochs", "2", "--preset", "ssd192-tiny", "--input-size", "64",
        "--batch-size", "8", "--workers", "1",
    ),
    "export": ("export", "best.pt", "--check", "images"),
    "calibrate": ("calibrate", "engines/selftest/selftest.onnx", "--images", "images", "-o", "cal.ranges.json"),
    "build": ("build", "engines/selftest/selftest.onnx", "--int8", "--force"),
    "eval": ("eval", "engines/selftest/selftest.onnx", "voc", "--split", "val", "--report", "report.html"),
    "check": ("data", "check", "voc"),
    "convert": ("data", "convert", "voc", "--to", "coco", "--output", "coco"),
    "run": ("run", "images", "--loop", "--no-window", "-o", "boxes.avi", "--json", "boxes.jsonl"),
}  # fmt: skip
_HALF_MADE = (".partial", ".write-probe", ".old", ".training")


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command: files that are not kept go to ``folder/../tmp``."""
    temporary = folder.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    names = {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **names}


def command(name: str) -> list[str]:
    """The command line of one of :data:`COMMANDS`."""
    return [sys.executable, "-m", "ssd_edge", *COMMANDS[name]]


def make_workspace(folder: Path) -> None:
    """Write images, labels, a checkpoint, a model with ranges, and run each command that others need once."""
    from ssd_edge.model.checkpoint import save_checkpoint
    from tests.model.factories import tiny_model
    from tests.quantization.square_model import write_labelled, write_pictures, write_square_model

    folder.mkdir(parents=True)
    write_square_model(folder / "engines/selftest/selftest.onnx")
    write_pictures(folder / "images", 36)
    lists = write_labelled(folder / "voc", "train", 40) / "ImageSets" / "Main"
    names = (lists / "train.txt").read_text().splitlines(keepends=True)
    for split, chosen in (("train", names[:28]), ("val", names[28:])):
        (lists / f"{split}.txt").write_text("".join(chosen))
    save_checkpoint(folder / "best.pt", tiny_model())
    made = ["calibrate", "engines/selftest/selftest.onnx", "--images", "images", "--method", "minmax"]
    for arguments in (made, ["build", "engines/selftest/selftest.onnx"]):
        subprocess.run(
            [sys.executable, "-m", "ssd_edge", *arguments], cwd=folder, env=environment(folder), check=True,
            capture_output=True,
        )  # fmt: skip


def damage(folder: Path) -> list[str]:
    """Return what is half-made, damaged or left in a workspace and in its TMPDIR."""
    import onnx
    import torch

    found = [f"left in TMPDIR: {path.name}" for path in (folder.parent / "tmp").iterdir()]
    for path in (entry for entry in folder.rglob("*") if entry.is_file()):
        name = str(path.relative_to(folder))
        if name.startswith("calibration/.") and path.suffix == ".npz":
            continue  # what an interrupted calibration goes on from
        if any(mark in path.name for mark in _HALF_MADE):
            found.append(f"half-made: {name}")
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".jsonl":
                [json.loads(line) for line in path.read_text().splitlines()]
            elif path.suffix == ".onnx":
                onnx.load(path)
            elif path.suffix == ".pt":
                torch.load(path, weights_only=True)
            elif path.suffix == ".html" and "</html>" not in path.read_text():
                found.append(f"cut off: {name}")
        except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
            found.append(f"damaged: {name}: {type(error).__name__}: {error}"[:300])
    return found
