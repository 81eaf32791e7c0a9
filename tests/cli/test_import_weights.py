from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.errors import InputError
from ssd_edge.importing import fetch as fetching
from ssd_edge.model.checkpoint import load_checkpoint
from tests.parity.recording import load_recording


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return load_recording("sq-ssd-lite").weights()


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["import", *arguments], terminal_width=200)
    return result.exit_code, result.stdout, result.stderr


def test_a_file_of_jetson_inference_becomes_a_run(tensors: dict[str, torch.Tensor]) -> None:
    torch.save(tensors, "sq-ssd-lite-Epoch-99-Loss-2.4.pth")
    Path("labels.txt").write_text("BACKGROUND\na\nb\nc\nd\ne\n")
    code, shown, said = call("sq-ssd-lite-Epoch-99-Loss-2.4.pth")
    assert code == 0, said
    run = Path("runs/sq-ssd-lite-Epoch-99-Loss-2.4/best.pt")
    for line in ("using labels.txt", "5 classes, a to e: as given", f"imported {run}", f"next: ssd-edge export {run}"):
        assert line in said
    for fact in ("sq-ssd-lite", "300 x 300, rgb", "127, 128", "2,568", "may extend beyond the image"):
        assert fact in shown
    assert load_checkpoint(run).spec.class_names == tuple("abcde")
    code, _, said = call("sq-ssd-lite-Epoch-99-Loss-2.4.pth")
    assert code == 1
    assert (
        f"{run} already exists, and it may be a trained model: wanted the path of a new file. Choose another name: "
        f"--name NAME. To overwrite this file nevertheless, add: --output {run}" in said
    )
    assert call("sq-ssd-lite-Epoch-99-Loss-2.4.pth", "--output", str(run), "--name", "signs")[0] == 0
    assert load_checkpoint(run).spec.name == "signs"


def test_without_labels_the_names_are_said(tensors: dict[str, torch.Tensor]) -> None:
    torch.save(tensors, "w.pth")
    assert "5 classes, class 1 to class 5: built-in names" in call("w.pth")[2]


def test_torchvisions_weights_are_fetched(tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(tensors, "fetched-1a2b.pth")
    monkeypatch.setattr(fetching, "fetch", lambda source: Path("fetched-1a2b.pth"))
    code, _, said = call("--from", "torchvision:ssd300_vgg16")
    assert code == 0, said
    assert "using fetched-1a2b.pth" in said
    assert load_checkpoint(Path("runs/ssd300_vgg16/best.pt")).spec.name == "ssd300_vgg16"


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(source: str) -> Path:
        raise InputError(f"{source} cannot be fetched")

    monkeypatch.setattr(fetching, "fetch", no_network)
    code, _, said = call("--from", "torchvision:ssd300_vgg16")
    assert (code, said) == (1, "ssd-edge: torchvision:ssd300_vgg16 cannot be fetched\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "import needs either FILE or --from: got neither of the two"),
        (["w.pth", "--from", "torchvision:ssd300_vgg16"], "import needs either FILE or --from: got both"),
        (["--from", "x"], "--from x is not known: wanted torchvision:ssd300_vgg16 or"),
        (["w.pth"], "w.pth cannot be read (No such file or directory)"),
        (["w.pth", "--mean", "1", "2", "3"], "--mean is only for an .onnx file: got w.pth. Leave it out"),
        (["w.pth", "--score-threshold", "0.5"], "--score-threshold is only for an .onnx file: got w.pth"),
        (["w.pth", "--check-images", "photos"], "--check-images is only for an .onnx file: got w.pth"),
    ],
)
def test_refusals_are_one_sentence(arguments: list[str], message: str) -> None:
    code, _, said = call(*arguments)
    assert code == 1
    assert message in said.splitlines()[-1]


def test_pytorch_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, said = call("w.pth")
    assert code == 1
    assert "w.pth needs PyTorch" in said
    assert "pip install 'ssd-edge[train,export]'" in said
