"""Holds the floors of the house: rooms import lower floors only, siblings never meet, heavy packages stay at home.

``docs/architecture.md`` and ``README.md`` describe what is held here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ssd_edge"
FLOORS = (
    {"core"},
    {"model", "data", "scenes", "graph", "backends", "reporting"},
    {"training", "evaluation", "exporting", "importing", "quantization", "engines", "packaging", "streaming"}
    | {"labelling", "doctor", "benchmarking"},
    {"workflows"},
    {"demo"},
    {"cli"},
)
TORCH_ROOMS = {"model", "training", "exporting", "importing", "benchmarking"}
TORCH_PACKAGES = {"torch", "torchvision"}
TERMINAL = {"typer", "rich", "click"}
HEAVY = {"torch", "torchvision", "onnxruntime", "onnx", "cv2", "numpy", "rich", "matplotlib"}
MOST_LINES = 400
# rooms' modules that are imported inside functions: they load a package that not every machine has, or much that is
# seldom used
LAZY = {
    "benchmarking/peers/detectors.py": {"model.checkpoint"},  # PyTorch
    "workflows/benchmark/our_model.py": {
        "workflows.load"
    },  # what is imported counts in the time to the first detection
    "workflows/benchmark/peers.py": {"model.checkpoint"},
    "workflows/benchmark/prepare.py": {
        "exporting.export_onnx",
        "model.checkpoint",
        "model.random_weights",
        "model.zoo",
    },
    "workflows/benchmark/worker.py": {
        "benchmarking.gemm",
        "benchmarking.peers",
        "workflows.benchmark.gpu_stages",
        "workflows.benchmark.our_model",
        "workflows.benchmark.stages",
    },
    "backends/detector.py": {"backends.openvino.backend", "backends.ort", "backends.tensorrt.backend"},
    "core/detections.py": {"core.images", "core.overlay"},  # OpenCV
    "demo/steps.py": {"workflows.train"},  # PyTorch, as all below
    "model/weight_source.py": {"model.backbones.timm_backbone"},  # timm
    "streaming/outputs.py": {"streaming.sinks.mjpeg", "streaming.web.access"},  # a web server, TLS
    "workflows/check_data.py": {"model.zoo"},
    "workflows/open_streams.py": {"streaming.metrics"},  # Prometheus' client, and a web server
    "workflows/run_streams.py": {
        "streaming.mqtt.broker",  # MQTT's client, and TLS
        "streaming.mqtt.publisher",
        "streaming.web.access",
        "workflows.run_metrics",
    },
    "workflows/export.py": {"exporting.export_onnx", "exporting.parity_images"},
    "workflows/fit_priors.py": {"model.zoo", "workflows.training_choice"},
    "workflows/import_model.py": {"importing.fetch", "importing.weights"},
    "workflows/inspect.py": {"model.checkpoint"},
    "workflows/open_model.py": {"graph.sizes", "model.checkpoint", "model.predict"},
    "workflows/presets.py": {"model.zoo"},
    "workflows/train.py": {"workflows.training_run"},
}


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(text: str) -> list[str]:
    """Full dotted names of every import, also those inside functions and for types only."""
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
        if parts[0] in TERMINAL and room != "cli":
            wrong.append(f"{room} imports {name}: the terminal belongs to cli")
        if parts[0] != "ssd_edge" or len(parts) == 1 or parts[1] == room:
            continue
        if not any(parts[1] in rooms for rooms in FLOORS):  # a public name, as programs import it
            if floor_of(room) < floor_of("demo") and parts[1] != "__version__":
                wrong.append(f"{room} imports {name}: public names are for programs")
            continue
        if room in ("demo", "cli") and parts[1] == "core":
            continue
        if floor_of(parts[1]) >= floor_of(room):
            wrong.append(f"{room} imports {name}: not a lower floor")
    return wrong


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_imports_lower_floors_only(path: Path) -> None:
    assert not breaches(path.relative_to(PACKAGE).parts[0], imports_of(path.read_text()))


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" in path.parts], ids=named)
def test_commands_import_heavy_packages_on_use_only(path: Path) -> None:
    top = ast.Module([node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.If)], [])
    names = [
        name
        for node in top.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imports_of(ast.unparse(node))
    ]
    assert not HEAVY & {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" in path.parts], ids=named)
def test_a_command_knows_workflows_and_core_only(path: Path) -> None:
    rooms = {name.split(".")[1] for name in imports_of(path.read_text()) if name.startswith("ssd_edge.")}
    public = {"__version__", "GraphImport"}
    demo = {"demo"} if path.name == "demo.py" else set()
    assert rooms <= {"cli", "core", "workflows", *public, *demo}


def test_nothing_but_the_entry_point_knows_the_commands() -> None:
    for path in SOURCES:
        if "cli" not in path.parts:
            assert not [name for name in imports_of(path.read_text()) if name.startswith("ssd_edge.cli")], path


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" not in path.parts], ids=named)
def test_modules_are_imported_at_the_top_unless_they_load_what_may_be_missing(path: Path) -> None:
    inside = {
        ".".join(name.split(".")[1:-1])
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for statement in ast.walk(function)
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in imports_of(ast.unparse(statement))
        if name.startswith("ssd_edge.")
    }
    assert inside == LAZY.get(named(path), set())


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_file_is_one_concept(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def _graph() -> dict[str, set[str]]:
    """Which module imports which, for types only and inside functions too."""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in SOURCES}

    def known(name: str) -> Iterator[str]:
        for candidate in (name, name.rpartition(".")[0]):
            if candidate in modules:
                yield candidate
                return

    return {
        module: {found for name in imports_of(path.read_text()) for found in known(name)} - {module}
        for module, path in modules.items()
    }


def rings(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            ring, stack[at:] = stack[at:], []
            if len(ring) > 1:
                found.append(sorted(ring))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def test_no_modules_import_one_another() -> None:
    assert rings(_graph()) == []


def test_a_ring_is_seen() -> None:
    assert rings({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("core", "from ssd_edge.model.ssd import SSD"),
        ("model", "from ssd_edge.data.find import open_dataset"),
        ("streaming", "from ssd_edge.exporting.export_onnx import export_onnx"),
        ("streaming", "def f():\n    import torch"),
        ("backends", "import torchvision.ops"),
        ("workflows", "from ssd_edge import train"),
        ("workflows", "import typer"),
        ("workflows", "from rich.table import Table"),
        ("workflows", "from ssd_edge.cli.console import say"),
    ],
)
def test_the_check_sees_a_breach(room: str, statement: str) -> None:
    assert breaches(room, imports_of(statement))
