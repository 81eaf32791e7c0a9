"""What Typer need not convert is taken as it is: the same values, and no pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest
import typer

from ssd_edge.cli.app import _COMMANDS, load_command
from ssd_edge.cli.old_options import Command
from ssd_edge.cli.plain_options import _kind, _Plain, spare_conversion
from ssd_edge.core.choices import Precision

ARGUMENTS = {
    "run": [
        "clip.mp4",
        "other.mp4",
        "--json",
        "-",
        "--threshold",
        "0.25",
        "--every",
        "2",
        "--output",
        "a.mp4",
        "--loop",
    ],
    "train": ["data", "--preset", "ssd192-tiny", "--minutes", "3", "--name", "7"],
    "build": ["m.onnx", "--int8", "--max-drop", "0.5", "--keep-float", "conv1", "--keep-float", "conv2"],
    "export": ["best.pt", "--max-candidates", "1000"],
    "calibrate": ["m.onnx", "--method", "mse", "--images", "photos"],
    "eval": ["a.onnx", "b.onnx", "--split", "val"],
}

NEEDS_ARGUMENTS = {"data", "import", "init", "inspect", "label", "package", "use"}


def parsed(command: Any, arguments: list[str]) -> dict[str, Any]:
    return dict(command.make_context(str(command.name), list(arguments)).params)


@pytest.mark.parametrize("name", sorted({*_COMMANDS, "data"} - NEEDS_ARGUMENTS))
def test_values_are_those_that_typer_converts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ARGUMENTS.get(name, [])
    found = parsed(load_command(name), arguments)
    monkeypatch.setattr("ssd_edge.cli.old_options.spare_conversion", lambda _: None)
    expected = parsed(load_command(name), arguments)
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


def command_of(function: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command("one", cls=Command)(function)
    return typer.main.get_command(app)


def one(
    number: Annotated[int, typer.Option("--number", min=1)] = 3,
    precision: Annotated[Precision, typer.Option("--precision")] = Precision.INT8,
    there: Annotated[Path | None, typer.Option("--there", exists=True)] = None,
    names: Annotated[list[str] | None, typer.Option("--name")] = None,
) -> None:
    """Take options."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--number", "0"], "greater than or equal to 1"),
        (["--precision", "int9"], "int9"),
        (["--there", "no/such"], "no/such"),
    ],
)
def test_what_is_typed_is_checked_as_ever(arguments: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        parsed(command_of(one), arguments)


def test_what_is_typed_is_converted() -> None:
    found = parsed(command_of(one), ["--number", "7", "--precision", "fp32", "--name", "a", "--name", "b"])
    assert found == {"number": 7, "precision": Precision.FP32, "there": None, "names": ["a", "b"]}


def test_defaults_are_left_to_typer_where_it_works_in_another_way() -> None:
    class Other:
        """A parameter of a Typer that converts by itself."""

    spare_conversion([Other()])
    assert _Plain.__name__ not in str(vars(Other))


def test_a_run_starts_without_what_it_does_not_use() -> None:
    """Each of these is 0.02 to 0.1 s of the time to the first line."""
    code = (
        "import sys\nfrom ssd_edge.cli.main import main\nsys.argv = ['ssd-edge', 'run', 'missing.jpg', '--json', '-']\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "ssd_edge.workflows.run_streams" in found
    unused = {"pydantic", "rich", "http.server", "ssl", "torch", "onnx", "openvino", "ssd_edge.evaluation.evaluate"}
    assert not unused & set(found)


def test_a_list_of_choices_keeps_its_default_and_converts_what_is_typed() -> None:
    def several(kinds: Annotated[list[Precision], typer.Option("--kind")] = [Precision.INT8, Precision.FP32]) -> None:  # noqa: B006 - as a command is written
        """Takes several."""

    assert parsed(command_of(several), []) == {"kinds": [Precision.INT8, Precision.FP32]}
    assert parsed(command_of(several), ["--kind", "fp16"]) == {"kinds": [Precision.FP16]}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, (int, False)),
        (int | None, (int, False)),
        (Optional[Path], (Path, False)),  # noqa: UP045 - as older code writes it
        (list[str], (str, True)),
        (list[str] | None, (str, True)),
        (Precision | None, (Precision, False)),
        (int | str, None),
        (list[list[int]], None),
        (dict[str, int], None),
    ],
)
def test_only_simple_types_are_spared(annotation: Any, kind: tuple[type, bool] | None) -> None:
    assert _kind(annotation) == kind
