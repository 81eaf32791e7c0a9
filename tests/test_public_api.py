"""The public names: what they promise of themselves, whatever room is imported before them."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import ssd_edge as ssd

PACKAGE = Path(ssd.__file__).parent
FUNCTIONS = [
    "bench",
    "build", "calibrate", "check_data", "convert_data", "data_statistics", "diagnose", "evaluate", "export",
    "find_runs", "fit_priors", "import_model", "init_workspace", "inspect", "label", "list_presets", "load", "package",
    "run_streams", "selftest", "split_data", "stream", "synthesize", "train", "use_engine", "verify_package",
]  # fmt: skip
CONFIGS = {
    "bench": "BenchConfig",
    "build": "BuildConfig", "calibrate": "CalibrateConfig", "check_data": "CheckDataConfig",
    "convert_data": "ConvertDataConfig",
    "data_statistics": "DataStatisticsConfig", "evaluate": "EvaluateConfig", "export": "ExportConfig",
    "fit_priors": "FitPriorsConfig", "import_model": "ImportConfig", "label": "LabelConfig", "package": "PackageConfig",
    "run_streams": "RunConfig",
    "selftest": "SelftestConfig", "split_data": "SplitDataConfig", "stream": "StreamConfig",
    "synthesize": "SynthesizeConfig", "train": "TrainConfig",
}  # fmt: skip
RESULTS = [name for name in ssd.__all__ if name.endswith("Result") and name != "CheckResult"]


def in_fresh_interpreter(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_room_shadows_a_public_name() -> None:
    """A sub-package replaces a name of its package once it is imported: every room is, and then every name is asked."""
    program = (
        "import importlib, pkgutil, types, ssd_edge as ssd\n"
        "for found in pkgutil.walk_packages(ssd.__path__, 'ssd_edge.'):\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "print([name for name in ssd.__all__ if isinstance(getattr(ssd, name), types.ModuleType)])\n"
    )
    assert in_fresh_interpreter(program) == "[]\n"
    rooms = {found.name for found in pkgutil.iter_modules([str(PACKAGE)])}
    assert not rooms & set(ssd.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "cv2", "onnx", "onnxruntime", "typer"}
    program = f"import ssd_edge, sys; print(sorted({heavy} & set(sys.modules)))"
    assert in_fresh_interpreter(program) == "[]\n"


@pytest.mark.parametrize(
    "name",
    [
        "load",
        "stream",
        "bench",
        "build",
        "calibrate",
        "run_streams",
        "inspect",
        "Detections",
        "diagnose",
        "train",
        "TrainResult",
        "Callback",
    ],
)
def test_a_board_needs_no_torch(name: str) -> None:
    assert in_fresh_interpreter(f"import ssd_edge, sys; ssd_edge.{name}; print('torch' in sys.modules)") == "False\n"


def test_the_names_stand_once_for_the_type_checker_and_once_for_python() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: (node.module or "").removeprefix("ssd_edge.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == ssd._HOME_OF
    assert sorted(ssd.__all__) == sorted([*typed, "__version__"])
    assert dir(ssd) == sorted(ssd.__all__)


def test_what_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        ssd.trian  # type: ignore[attr-defined]  # noqa: B018


def test_the_functions_are_those_that_are_documented() -> None:
    found = [name for name in ssd.__all__ if name[0].islower() and name != "__version__"]
    assert sorted(found) == FUNCTIONS
    page = (PACKAGE.parent / "docs" / "python.md").read_text()
    missing = [name for name in FUNCTIONS if f"{name}" not in page]
    assert not missing


@pytest.mark.parametrize("name", sorted(set(ssd.__all__) - {"__version__"}))
def test_every_public_name_is_described(name: str) -> None:
    found = getattr(ssd, name)
    if name != "ProgressCallback":  # an alias of a type
        assert (inspect.getdoc(found) or "").strip().endswith((".", ")", ":", "``", "`", "1.")), inspect.getdoc(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_style_of_call(name: str) -> None:
    """Inputs first, then config or keywords, progress, workspace last; errors are named."""
    function: Callable[..., Any] = getattr(ssd, name)
    parameters = inspect.signature(function).parameters
    keywords = [entry.name for entry in parameters.values() if entry.kind is inspect.Parameter.KEYWORD_ONLY]
    assert [word for word in ("config", "progress", "workspace") if word in keywords] == [
        word for word in keywords if word in ("config", "progress", "workspace")
    ]
    if name in CONFIGS:
        assert parameters["config"].default is None
        assert any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in parameters.values())
    assert inspect.signature(function).return_annotation not in (inspect.Signature.empty, "None")


@pytest.mark.parametrize(("function", "config"), CONFIGS.items())
def test_keywords_are_the_fields_of_the_config(function: str, config: str) -> None:
    kind = getattr(ssd, config)
    home = importlib.import_module(kind.__module__)
    options = getattr(home, config.replace("Config", "Options"))
    assert set(get_type_hints(options)) == {entry.name for entry in dataclasses.fields(kind)}
    assert not options.__required_keys__
    assert kind.__dataclass_params__.frozen
    kind()  # every field has a default


@pytest.mark.parametrize("name", RESULTS)
def test_results_say_what_was_made_and_what_was_left_out(name: str) -> None:
    kind = getattr(ssd, name)
    assert kind.__dataclass_params__.frozen
    names = {entry.name for entry in dataclasses.fields(kind)} | set(vars(kind))
    assert {"path", "left_out"} <= names


def test_both_styles_at_once_and_misspelled_options_are_refused() -> None:
    with pytest.raises(ssd.InputError, match="twice"):
        ssd.export("x.pt", config=ssd.ExportConfig(), top_k=5)
    with pytest.raises(TypeError, match="did you mean top_k"):
        ssd.export("x.pt", topk=5)  # type: ignore[call-arg]
    with pytest.raises(ssd.InputError) as caught:
        ssd.build("x.onnx", precision="int4")  # type: ignore[arg-type]
    assert caught.value.got == "'int4'"


def test_an_enum_and_its_text_are_the_same_in_a_config_too(tmp_path: Path) -> None:
    for config in (
        ssd.BuildConfig(precision="int4"),  # type: ignore[arg-type]
        ssd.BuildConfig(accuracy=ssd.AccuracyGate(tmp_path, split=3)),  # type: ignore[arg-type]
        ssd.BuildConfig(tensorrt=ssd.TrtOptions(batch=4)),  # type: ignore[arg-type]
    ):
        with pytest.raises(ssd.InputError, match=r"is not one of the allowed values|has the wrong type"):
            ssd.build("x.onnx", config=config)
    for gate in ("voc07", ssd.Metric.VOC07):
        config = ssd.EvaluateConfig(metric=gate, html="page.html")  # type: ignore[arg-type]
        with pytest.raises(ssd.InputError, match=r"x\.onnx"):
            ssd.evaluate("x.onnx", tmp_path, config=config)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: ssd.synthesize("new", workers=-4), "workers is out of range"),
        (lambda: ssd.synthesize("new", size=(1, 2, 3)), "size has the wrong length"),  # type: ignore[arg-type]
        (lambda: ssd.synthesize("new", config=ssd.SynthesizeConfig(size=(64,))), "size has the wrong length"),  # type: ignore[arg-type]
        (lambda: ssd.export("x.pt", score_threshold=3.0), "score_threshold is out of range"),
        (lambda: ssd.import_model("x.onnx", iou_threshold=-1), "iou_threshold is out of range"),
        (lambda: ssd.list_presets(classes=0), "classes is out of range"),
        (lambda: ssd.run_streams("x.mp4", max_retries=-1), "max_retries is out of range"),
        (lambda: ssd.run_streams("x.mp4", width=-3), "width is out of range"),
        (
            lambda: ssd.run_streams("x.mp4", config=ssd.RunConfig(optimize_for="fast")),
            "optimize_for is not one of the allowed values",
        ),  # type: ignore[arg-type]
        (lambda: ssd.selftest(frames=0), "frames is out of range"),
        (lambda: ssd.calibrate(seed=-1), "seed is out of range"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(call: Callable[[], Any], what: str) -> None:
    with pytest.raises(ssd.InputError, match=what):
        call()


def test_one_preset_can_be_asked_for_by_its_name() -> None:
    assert [entry.name for entry in ssd.list_presets("ssd192-tiny").presets] == ["ssd192-tiny"]


@pytest.mark.parametrize("name", [*RESULTS, *CONFIGS.values()])
def test_what_a_result_or_config_holds_is_public_too(name: str) -> None:
    """Of our own types; ParityReport is the one whose room needs PyTorch."""
    kind = getattr(ssd, name)
    words = {word for entry in dataclasses.fields(kind) for word in re.findall(r"\w+", str(entry.type))}
    private = {"AnyFacts", "Kind", "Triple", "Four", "ParityReport", "Augmentation", "Classification", "Localisation"}
    home = vars(importlib.import_module(kind.__module__))
    ours = {word for word in words if str(getattr(home.get(word), "__module__", "")).startswith("ssd_edge")}
    assert ours - private <= set(ssd.__all__)


def test_progress_and_workspace_come_last() -> None:
    for name in FUNCTIONS:
        named = [
            entry.name
            for entry in inspect.signature(getattr(ssd, name)).parameters.values()
            if entry.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        last = [word for word in ("progress", "workspace") if word in named]
        assert named[len(named) - len(last) :] == last, name


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_training_without_pytorch_says_what_to_install_when_it_is_called() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'lightning_fabric'): sys.modules[name] = None\n"
        "from ssd_edge import *\n"
        "import ssd_edge as ssd\n"
        "assert all(hasattr(ssd, name) for name in ssd.__all__)\n"
        "try: train('data')\n"
        "except MissingPackageError as error: print(error.what, '|', error.do)\n"
    )
    said = in_fresh_interpreter(program)
    assert said.startswith("training needs PyTorch (torch, torchvision, lightning_fabric) |")
    assert "pip install" in said


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_runs_out_is_a_named_error_of_every_function(name: str) -> None:
    assert getattr(ssd, name).__wrapped__.__name__ == name


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (MemoryError(), "the memory is full"),
        (OSError(28, "No space left on device"), "a disk is full"),
        (OSError(24, "Too many open files"), "too many files are open"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU's memory is full"),
    ],
)
def test_a_program_gets_the_named_error(
    error: Exception, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("ssd_edge.workflows.data_statistics.dataset_splits", fail)
    with pytest.raises(ssd.SsdEdgeError, match=named) as caught:
        ssd.data_statistics(tmp_path)
    assert caught.value.__cause__ is error
    monkeypatch.setattr("ssd_edge.workflows.data_statistics.dataset_splits", {}.__getitem__)
    with pytest.raises(KeyError):
        ssd.data_statistics(tmp_path)
