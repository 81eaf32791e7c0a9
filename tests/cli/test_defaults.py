"""A default stands once, in a workflow's config: the command line shows it from there."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from ssd_edge.cli import app as commands
from ssd_edge.demo.plan import FULL
from ssd_edge.engines.options import TrtOptions
from ssd_edge.quantization.image_choice import ImageChoice
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.build.config import BuildConfig
from ssd_edge.workflows.build.options import TIMING_CACHE, AccuracyGate
from ssd_edge.workflows.calibrate_config import CalibrateConfig
from ssd_edge.workflows.check_data import CheckDataConfig
from ssd_edge.workflows.convert_data_config import ConvertDataConfig
from ssd_edge.workflows.data_statistics import DataStatisticsConfig
from ssd_edge.workflows.evaluate_config import EvaluateConfig
from ssd_edge.workflows.export import ExportConfig
from ssd_edge.workflows.fit_priors_config import PRIORS, FitPriorsConfig
from ssd_edge.workflows.import_config import ImportConfig
from ssd_edge.workflows.label_config import LabelConfig
from ssd_edge.workflows.package_config import PackageConfig
from ssd_edge.workflows.presets import CLASSES
from ssd_edge.workflows.selftest_config import PAGE, SelftestConfig
from ssd_edge.workflows.split_data_config import SplitDataConfig
from ssd_edge.workflows.stream_config import RunConfig
from ssd_edge.workflows.synthesize_config import SynthesizeConfig
from ssd_edge.workflows.train_config import TrainConfig
from tests.documents import ROOT

CLI = Path(commands.__file__).parent
CONFIGS: dict[str, type[Any]] = {
    "bench": BenchConfig,
    "build": BuildConfig, "calibrate": CalibrateConfig, "data check": CheckDataConfig,
    "data convert": ConvertDataConfig, "data priors": FitPriorsConfig,
    "data split": SplitDataConfig, "data stats": DataStatisticsConfig, "data synth": SynthesizeConfig,
    "doctor": SelftestConfig,
    "eval": EvaluateConfig, "export": ExportConfig, "import": ImportConfig, "label": LabelConfig,
    "package": PackageConfig, "run": RunConfig, "train": TrainConfig,
}  # fmt: skip
FIELDS = {  # of a config whose option has another name
    "build": {"table": "ranges"},
    "data check": {"split": "splits"},
    "data convert": {"split": "splits"},
    "data split": {"source": "split"},
    "data stats": {"split": "splits"},
    "eval": {"max_drop": "max_drop_points"},
    "run": {"threshold": "score_threshold", "rtsp_latency": "rtsp_latency_ms", "batch_wait": "batch_wait_ms"},
}
KNOWN: dict[tuple[str, str], Any] = {  # that the config makes of None, or that are of another kind there
    ("bench", "precisions"): None,
    ("build", "batch"): str(TrtOptions().batch.best),
    ("build", "split"): AccuracyGate("data").split,
    ("build", "timing_cache"): TIMING_CACHE,
    ("build", "target"): "auto",
    ("data priors", "output"): PRIORS,
    ("data synth", "size"): "{}x{}".format(*SynthesizeConfig().size),
    ("data synth", "video_size"): "{}x{}".format(*SynthesizeConfig().video_size),
    ("demo", "folder"): Path("demo"),
    ("doctor", "html"): PAGE,
    ("init", "folder"): Path(),
    ("label", "shard"): "{}/{}".format(*LabelConfig().shard),
    ("models", "classes"): CLASSES,
    ("package", "workspace"): Path(),
    ("runs", "workspace"): Path(),
    ("train", "device"): "auto",
    ("train", "precision"): "auto",
    ("use", "workspace"): Path(),
}
SHOWN = {  # by words of the option, as None stands for it
    ("calibrate", "split"): ImageChoice().split,
    ("calibrate", "max_images"): f"{ImageChoice().limit}",
    ("calibrate", "seed"): f"{ImageChoice().seed}",
}
OF_THE_COMMAND = {("data check", "limit"): 20}  # what is printed, of which no workflow knows


def options() -> list[tuple[str, Any]]:
    found = []
    for name in typer.main.get_command(commands.app).commands:  # type: ignore[attr-defined]
        command = commands.load_command(name)
        parts = {name: command}
        if hasattr(command, "commands"):
            parts = {f"{name} {part}": entry for part, entry in command.commands.items()}
        found += [(path, option) for path, entry in parts.items() for option in entry.params if option.name != "help"]
    return found


OPTIONS = options()


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{path} {option.name}" for path, option in OPTIONS])
def test_the_default_of_an_option_is_that_of_the_config(command: str, option: Any) -> None:
    key = (command, option.name)
    config = CONFIGS.get(command)
    fields = {entry.name: entry.default for entry in dataclasses.fields(config)} if config else {}
    field = FIELDS.get(command, {}).get(option.name, option.name)
    if key in KNOWN | OF_THE_COMMAND:
        assert option.default == (KNOWN | OF_THE_COMMAND)[key]
    elif field in fields and fields[field] is not dataclasses.MISSING:
        assert option.default == (
            fields[field] or None if isinstance(fields[field], tuple | frozenset) else fields[field]
        )
    else:
        assert option.default in (None, False)
    if isinstance(option.show_default, str):
        assert option.show_default == SHOWN[key]


def test_the_demo_names_the_minutes_of_its_plan() -> None:
    (minutes,) = [option for path, option in OPTIONS if (path, option.name) == ("demo", "minutes")]
    assert f"(default: {FULL.minutes:g})" in minutes.help


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda path: path.stem)
def test_no_command_repeats_a_default(path: Path) -> None:
    """Numbers and words come from elsewhere; a switch is off, and what is not given is None."""
    repeated = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            positional = node.args.args[len(node.args.args) - len(node.args.defaults) :]
            for argument, default in zip(positional, node.args.defaults, strict=True):
                is_option = argument.annotation is not None and "typer." in ast.unparse(argument.annotation)
                if is_option and isinstance(default, ast.Constant) and default.value not in (None, False):
                    repeated.append((argument.arg, default.value))
    assert repeated == ([("limit", 20)] if path.stem == "data_check" else [])


def test_the_help_of_every_command_imports_nothing_heavy() -> None:
    script = (
        "import sys, typer; from ssd_edge.cli import app as commands\n"
        "for name in typer.main.get_command(commands.app).commands: commands.load_command(name)\n"
        "heavy = {'numpy', 'cv2', 'torch', 'onnx', 'onnxruntime', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SCORES = {  # of the table in docs/architecture.md, by the words of its first column
    "`run` and `label`": {RunConfig.score_threshold, LabelConfig.score_threshold},
    "an imported ONNX": {ImportConfig.score_threshold},
    "`eval`": {EvaluateConfig.score_threshold},
    "`package --for deepstream`": {PackageConfig.score_threshold},
    "the demo's video": {FULL.score_threshold},
}


@pytest.mark.parametrize("words", SCORES)
def test_the_table_of_score_thresholds_is_true(words: str) -> None:
    [row] = re.findall(rf"^\| {re.escape(words)}.* \| ([0-9.]+) \| ", ARCHITECTURE, re.MULTILINE)
    assert SCORES[words] == {float(row)}
