from __future__ import annotations

import hashlib
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.weights import FAMILIES, import_weights, recognize
from ssd_edge.model.checkpoint import load_checkpoint
from tests.parity.recording import load_recording

NAME = "sq-ssd-lite"


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return load_recording(NAME).weights()


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_weights_become_a_checkpoint(wrapper: str | None, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(tensors if wrapper is None else {"epoch": 3, wrapper: tensors}, tmp_path / "w.pth")
    (tmp_path / "labels.txt").write_text("BACKGROUND\nv\nw\nx\ny\nz\n")
    output = tmp_path / "runs/m/best.pt"
    report = import_weights(tmp_path / "w.pth", output, labels=tmp_path / "labels.txt", name="m")
    assert (report.family, report.path, report.labels_given) == (NAME, output, True)
    assert "jetson-inference" in report.source
    assert report.digest == f"sha256:{hashlib.sha256((tmp_path / 'w.pth').read_bytes()).hexdigest()}"
    checkpoint = load_checkpoint(output)
    assert checkpoint.spec == report.spec
    assert (checkpoint.spec.name, checkpoint.spec.class_names) == ("m", tuple("vwxyz"))
    stem = checkpoint.model.state_dict()["backbone.features.0.0.weight"]
    assert torch.equal(stem, tensors["base_net.0.weight"])


def _prefixed(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


AS_TRAINERS_SAVE = {
    "compiled": lambda t: _prefixed(t, "_orig_mod."),
    "compiled, data-parallel": lambda t: {"model_state_dict": _prefixed(t, "module._orig_mod.")},
    "a compiled part": lambda t: {name.replace("base_net.", "base_net._orig_mod."): v for name, v in t.items()},
    "lightning": lambda t: {"epoch": 3, "state_dict": {**_prefixed(t, "model."), "loss.weight": torch.ones(6)}},
    "lightning, another name": lambda t: {"state_dict": _prefixed(t, "detector.net.")},
    "averaged": lambda t: {"n_averaged": torch.tensor(7), **_prefixed(t, "module.")},
    "nested": lambda t: {"model": {"ema": {"state_dict": t}}},
    "model and ema": lambda t: {"model": t, "ema": {name: 0 * v for name, v in t.items()}},
    "half": lambda t: {name: v.half() if v.is_floating_point() else v for name, v in t.items()},
}


@pytest.mark.parametrize("kind", AS_TRAINERS_SAVE)
def test_weights_as_trainers_save_them(kind: str, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(AS_TRAINERS_SAVE[kind](tensors), tmp_path / "w.pth")
    report = import_weights(tmp_path / "w.pth", tmp_path / "best.pt")
    stem = load_checkpoint(report.path).model.state_dict()["backbone.features.0.0.weight"]
    assert report.family == NAME
    torch.testing.assert_close(stem, tensors["base_net.0.weight"], rtol=1e-3, atol=1e-4)


def test_safetensors(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({f"model.{name}": tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "w.safetensors")
    assert import_weights(tmp_path / "w.safetensors", tmp_path / "best.pt").family == NAME
    (tmp_path / "w.safetensors").write_bytes(b"no such file")
    with pytest.raises(ArtifactError, match="is damaged"):
        import_weights(tmp_path / "w.safetensors", tmp_path / "best.pt")


def test_a_wrapper_that_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["model"] = content
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ArtifactError, match="contains no weights"):
        import_weights(tmp_path / "w.pth", tmp_path / "best.pt")


def test_data_parallel_weights_and_no_labels(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "w.pth")
    report = import_weights(tmp_path / "w.pth", tmp_path / "best.pt")
    assert (report.spec.name, report.labels_given) == ("ssdlite300-squeezenet", False)
    assert report.spec.class_names == tuple(f"class {number}" for number in range(1, 6))


@pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"), reason="needs PyTorch 2.5")
def test_a_checkpoint_of_torchvisions_training_script_holds_its_arguments(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    optimiser = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [80, 110])
    content = {"model": tensors, "optimizer": optimiser.state_dict(), "lr_scheduler": schedule.state_dict(), "epoch": 1}
    torch.save({**content, "args": Namespace(lr=0.1, model="ssd300_vgg16")}, tmp_path / "model_1.pth")
    assert import_weights(tmp_path / "model_1.pth", tmp_path / "best.pt").family == NAME


def test_nothing_is_written_where_the_labels_do_not_fit(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "w.pth")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match="got 2 names"):
        import_weights(tmp_path / "w.pth", tmp_path / "best.pt", labels=tmp_path / "labels.txt")
    assert not (tmp_path / "best.pt").exists()


class _Code:
    """A pickle that makes a file where it is loaded by the trusting."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    torch.save({"model": _Code(mark)}, tmp_path / "w.pth")
    with pytest.raises(ArtifactError, match="pickle that runs code or holds Python objects .* nothing of it was run"):
        import_weights(tmp_path / "w.pth", tmp_path / "best.pt")
    assert not mark.exists()
    torch.load(tmp_path / "w.pth", weights_only=False)  # the file is as dangerous as it is said to be
    assert mark.exists()


@pytest.mark.parametrize(
    ("build", "name"),
    [(ssd300_vgg16, "ssd300_vgg16"), (ssdlite320_mobilenet_v3_large, "ssdlite320_mobilenet_v3_large")],
)
def test_torchvisions_networks_are_recognised(build: type[nn.Module], name: str) -> None:
    with torch.device("meta"):
        weights = dict(build(weights=None, weights_backbone=None).state_dict())
    assert [family.name for family in FAMILIES if family.matches(weights)] == [name]
    spec = (
        recognize(weights, origin="w.pth")
        .convert({key: torch.zeros(tensor.shape, dtype=tensor.dtype) for key, tensor in weights.items()}, None)
        .spec
    )
    assert (spec.class_names[0], spec.class_names[11], spec.class_names[-1]) == ("person", "N/A", "toothbrush")
