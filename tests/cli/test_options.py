"""Options: one name each on the command line and in Python, panels where there are many, old names that still work."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.cli.old_options import OLD_NAMES, renamed, with_json_target
from ssd_edge.cli.option_values import parse_input_size, parse_numbers
from ssd_edge.core.errors import InputError
from ssd_edge.engines.options import TrtOptions
from ssd_edge.workflows.build.options import AccuracyGate
from tests.cli.test_defaults import CONFIGS, FIELDS, OPTIONS
from tests.quantization.square_model import write_square_model

MOST_WITHOUT_PANELS = 10
NOT_IN_A_CONFIG = {  # switches and arguments that stand for several fields, inputs, or what only the terminal shows
    "bench": {"models", "json_path"},
    "build": {"onnx", "int8", "fp16", "bf16", "fp32", "data", "split", "max_drop"},
    "calibrate": {"onnx", "images"},
    "data check": {"dataset", "json", "limit"},
    "data convert": {"dataset"},
    "data priors": {"dataset"},
    "data split": {"dataset"},
    "data stats": {"dataset", "json"},
    "data synth": {"folder"},
    "doctor": {"engine", "json_path", "is_selftest", "images", "record"},
    "eval": {"models", "dataset", "compare", "json_path"},
    "export": {"checkpoint"},
    "import": {"file", "size"},
    "package": {"model", "host", "verify", "workspace"},
    "label": {"sources", "model", "json_path"},
    "run": {"sources", "camera", "model", "config", "supervised", "yes"},
    "train": {"dataset"},
}


def of_command(name: str) -> list[Any]:
    return [option for path, option in OPTIONS if path == name]


@pytest.mark.parametrize("command", sorted(CONFIGS))
def test_an_option_has_the_name_of_its_field(command: str) -> None:
    fields = {entry.name for kind in (CONFIGS[command], TrtOptions, AccuracyGate) for entry in dataclasses.fields(kind)}
    for option in of_command(command):
        if option.name in NOT_IN_A_CONFIG[command] or option.param_type_name == "argument":
            continue
        field = FIELDS.get(command, {}).get(option.name, option.name)
        unit = re.compile(f"{field}(_gib|_ms|_points)?$")
        assert any(unit.match(name) for name in fields), option.name


@pytest.mark.parametrize("command", sorted({path for path, _ in OPTIONS}))
def test_many_options_are_in_panels(command: str) -> None:
    shown = [option for option in of_command(command) if option.param_type_name == "option" and not option.hidden]
    panels = Counter(getattr(option, "rich_help_panel", None) for option in shown)
    assert panels[None] <= MOST_WITHOUT_PANELS, f"{command}: {panels[None]} options are in no panel"


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{path} {option.name}" for path, option in OPTIONS])
def test_every_option_is_explained(command: str, option: Any) -> None:
    if getattr(option, "hidden", False):
        return
    assert option.help, option.name
    assert option.help.endswith((".", "…")) or "sensitivity.*" in option.help
    assert not option.help.startswith(("Of ", "What ", "Which ", "How much "))


def test_every_old_name_stands_for_an_option() -> None:
    for command, names in OLD_NAMES.items():
        present = {name for path, option in OPTIONS if path.split()[-1] == command for name in option.opts}
        assert set(names.values()) <= present
        assert not set(names) & present


def test_an_old_name_works_and_says_what_it_is_called_now(tmp_path: Path) -> None:
    model = write_square_model(tmp_path / "a.onnx")
    result = CliRunner().invoke(app, ["build", str(model), "--device=nonsense"])
    assert (result.exit_code, "--device is now called --board" in result.stderr) == (1, True)
    assert "there is no board profile 'nonsense'" in result.stderr


def test_the_old_size_of_an_import_is_height_and_width(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def note(_: Any, *, config: Any, progress: Any) -> None:
        sizes.append(config.input_size)
        raise InputError("enough")

    monkeypatch.setattr("ssd_edge.workflows.import_model.import_model", note)
    for words in (["--size", "240", "320"], ["--input-size", "320x240"], ["--input-size=300"]):
        CliRunner().invoke(app, ["import", "a.onnx", *words])
    assert sizes == [(320, 240), (320, 240), (300, 300)]


def test_names_after_two_dashes_are_left_alone() -> None:
    assert renamed(["--old=3", "--", "--old"], {"--old": "--new"}) == ["--new=3", "--", "--old"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a.pt", "--json"], ["a.pt", "--json", "-"]),
        (["--json", "a.pt"], ["--json", "-", "a.pt"]),
        (["--json", "-", "a.pt"], ["--json", "-", "a.pt"]),
        (["a.pt", "--json", "b.json"], ["a.pt", "--json", "b.json"]),
        (["--json", "b.json", "a.pt"], ["--json", "b.json", "a.pt"]),
        (["--json=b.json", "a.pt"], ["--json=b.json", "a.pt"]),
        (["a.pt"], ["a.pt"]),
    ],
)
def test_json_of_inspect_may_have_no_value(words: list[str], wanted: list[str]) -> None:
    assert with_json_target(words) == wanted


def test_inspect_writes_its_json_to_a_file(tmp_path: Path) -> None:
    model, written = write_square_model(tmp_path / "a.onnx"), tmp_path / "facts.json"
    assert CliRunner().invoke(app, ["inspect", str(model), "--json", str(written)]).exit_code == 0
    shown = CliRunner().invoke(app, ["inspect", "--json", str(model)])
    assert json.loads(written.read_text()) == json.loads(shown.stdout)


@pytest.mark.parametrize("text", ["", "x", "3x", "300x", "-3", "3.5", "ax9"])
def test_an_input_size_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_input_size(text)
    assert caught.value.got == repr(text)
    assert "WIDTHxHEIGHT" in caught.value.wanted


def test_numbers_are_separated_by_commas() -> None:
    assert parse_numbers("4, 6,6", "--per-level", "such as 4,6") == (4, 6, 6)
    assert parse_numbers(None, "--per-level", "such as 4,6") is None
    with pytest.raises(InputError) as caught:
        parse_numbers("4,,6", "--per-level", "such as 4,6")
    assert "--per-level" in caught.value.what
