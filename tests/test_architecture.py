"""Holds the floors of the house: rooms import lower floors only, siblings never meet, torch stays in its rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ssd_edge"
FLOORS = (
    {"core"},
    {"model", "data", "backends"},
    {"training", "evaluation", "export", "calibration", "precision", "engines", "stream", "doctor"},
    {"cli"},
)
TORCH_ROOMS = {"model", "training", "export"}
TORCH_PACKAGES = {"torch", "torchvision"}


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(text: str) -> list[str]:
    """Full dotted names of every import, also those inside functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def breaches(room: str, imports: list[str]) -> list[str]:
    """What a file of ``room`` may not import."""
    wrong = []
    for name in imports:
        parts = name.split(".")
        if parts[0] in TORCH_PACKAGES and room not in TORCH_ROOMS:
            wrong.append(f"{room} imports {name}: torch belongs to {sorted(TORCH_ROOMS)}")
        if parts[0] != "ssd_edge" or len(parts) == 1 or parts[1] in (room, "__version__"):
            continue
        if floor_of(parts[1]) >= floor_of(room):
            wrong.append(f"{room} imports {name}: not a lower floor")
    return wrong


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_lower_floors_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room == "cli":
        return
    assert not breaches(room, imports_of(path.read_text()))


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" in path.parts], ids=lambda path: path.name)
def test_commands_import_heavy_packages_on_use_only(path: Path) -> None:
    heavy = {"torch", "torchvision", "onnxruntime", "onnx", "cv2", "numpy", "rich", "matplotlib"}
    top = ast.Module([node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.If)], [])
    names = [
        name
        for node in top.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imports_of(ast.unparse(node))
    ]
    assert not heavy & {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("core", "from ssd_edge.model.ssd import SSD"),
        ("model", "from ssd_edge.core.sample import Sample"),
        ("stream", "from ssd_edge.exporting.export_onnx import export_onnx"),
        ("stream", "def f():\n    import torch"),
        ("backends", "import torchvision.ops"),
    ],
)
def test_the_check_sees_a_breach(room: str, statement: str) -> None:
    assert breaches(room, imports_of(statement))
