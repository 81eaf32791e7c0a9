"""Files that hold no SSD: each is refused by what it looks like, and nothing in it is run."""

from __future__ import annotations

import io
import pickle
import shutil
import sys
import types
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.state_dict import read_state_dict
from ssd_edge.importing.weights import recognize
from ssd_edge.model.checkpoint import save_checkpoint
from tests.model.factories import tiny_model

WANTED = "wanted the weights of a PyTorch SSD (a state dict saved by torch.save)"


class Copy:
    """A pickle that writes a file where it is loaded by the trusting."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return shutil.copyfile, (__file__, str(self.made))


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        read_state_dict(path)
    return str(refused.value).replace(f"{path.parent}/", "")


def saved(content: object, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def archive(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for member in members:
            file.writestr(member, "{}")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "an HDF5 file, such as Keras weights"),
        (archive("metadata.json", "config.json", "model.weights.h5"), "a Keras file"),
        (archive("a.npy", "b.npy"), "an archive of NumPy arrays"),
        (archive("word/document.xml", "x.png"), "an archive of document.xml, x.png"),
        (saved({"a": torch.zeros(999)})[:1500], "a truncated archive of 1500 bytes"),
        (
            saved({"a": torch.zeros(999)}, zipped=False)[:1500],
            "a truncated or damaged file of 1500 bytes, written by PyTorch before 1.6",
        ),
        (b"\x1c\0\0\0TFL3" + bytes(500), "a TensorFlow Lite model"),
        (b"\x18\0\0\0ORTM" + bytes(500), "an ONNX Runtime model"),
        (b"\x08\x0a\x12\x07pytorch" + bytes(500), "a protobuf file, such as an ONNX or TensorFlow model"),
        (np.array([0, 2, 5], "<i4").tobytes() + bytes(500), "darknet weights, as of a YOLO"),
        (b"\x93NUMPY\x01\0" + bytes(500), "a NumPy array"),
        (b"\n<!DOCTYPE html><html>404</html>", "a web page, from a download that failed"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer instead of the file itself"),
        (b"BACKGROUND\nperson\n", "a text of 18 bytes"),
        (b"\x01\x02\x03\x04", "4 bytes that are no PyTorch file"),
    ],
)
def test_it_is_called_by_what_it_looks_like(content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    message = refusal(tmp_path / "w.pth")
    assert message.startswith(f"w.pth is not a file of weights: got {kind}")
    assert WANTED in message
    assert message.endswith("If it should be one, copy or download the file again.")


def pickle_0(content: object) -> bytes:
    return pickle.dumps(content, protocol=0)


def pickle_4(content: object) -> bytes:
    return pickle.dumps(content, protocol=4)


@pytest.mark.parametrize("write", [saved, lambda content: saved(content, zipped=False), pickle_0, pickle_4])
def test_code_in_a_pickle_is_named_and_not_run(write: Callable[[object], bytes], tmp_path: Path) -> None:
    made = tmp_path / "was-run"
    (tmp_path / "w.pth").write_bytes(write({"vgg.0.weight": torch.zeros(3) if write is saved else 0, "x": Copy(made)}))
    message = refusal(tmp_path / "w.pth")
    assert "got a pickle that runs code or holds Python objects (shutil.copyfile); nothing of it was" in message
    assert message.endswith("save only the weights: torch.save(model.state_dict(), 'weights.pth')")
    assert not made.exists()


def test_that_code_would_run_elsewhere(tmp_path: Path) -> None:
    made = tmp_path / "was-run"
    pickle.loads(pickle_4(Copy(made)))
    assert made.exists()


def test_a_yolo_is_known_by_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = types.ModuleType("ultralytics.nn.tasks")
    tasks.DetectionModel = type("DetectionModel", (nn.Module,), {"__module__": tasks.__name__})  # type: ignore[attr-defined]
    for name in ("ultralytics", "ultralytics.nn"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, tasks.__name__, tasks)
    torch.save({"epoch": -1, "model": tasks.DetectionModel()}, tmp_path / "yolov8n.pt")
    assert "got a YOLO, pickled with its Python classes (ultralytics.nn.tasks.DetectionModel)" in refusal(
        tmp_path / "yolov8n.pt"
    )


def test_a_compiled_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(archive("m/data.pkl", "m/constants.pkl", "m/version"))
    assert "got a TorchScript program" in refusal(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("content", "found"),
    [({}, "an empty dict"), ([1, 2], "list"), (torch.zeros(3), "Tensor"), ({"epoch": 3, "loss": 0.5}, "epoch, loss")],
)
def test_a_file_without_named_tensors_is_refused(content: object, found: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert refusal(tmp_path / "w.pth") == f"w.pth contains no weights: got {found}; {WANTED}"


def test_our_own_checkpoint_needs_no_import(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", tiny_model())
    message = refusal(tmp_path / "best.pt")
    assert message.startswith(
        "best.pt is already a checkpoint of ssd-edge and need not be imported: got the format ssd-edge/checkpoint/1"
    )
    assert "ssd-edge export" in message


@pytest.mark.parametrize(("name", "got"), [("none.pth", "No such file or directory"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read(name: str, got: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"cannot be read .{got}.: wanted the weights"):
        read_state_dict(tmp_path / name)


def test_what_training_saves_beside_the_weights_is_no_obstacle(tmp_path: Path) -> None:
    content = {"model": {"module.a": torch.ones(2)}, "scheduler": {"milestones": Counter([43, 54])}, "epoch": 1}
    torch.save(content, tmp_path / "w.pth")
    assert list(read_state_dict(tmp_path / "w.pth")) == ["module.a"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("conv1.weight", "fc.weight"), "an image classifier (conv1.weight, …, fc.weight)"),
        (("features.0.0.weight", "classifier.1.weight"), "an image classifier"),
        (("model.0.conv.weight", "model.22.dfl.conv.weight"), "a YOLO"),
        (("module_list.0.Conv2d.weight",), "a YOLO (darknet layers) (module_list.0.Conv2d.weight)"),
        (("backbone.body.conv1.weight", "rpn.head.conv.weight"), "a Faster or Mask R-CNN"),
        (("head.classification_head.cls_logits.weight",), "a RetinaNet or FCOS of torchvision"),
        (("transformer.encoder.weight",), "a DETR"),
        (("backbone.conv.weight", "bbox_head.cls_convs.0.weight"), "a detector of mmdetection"),
        (("base_net.0.weight",), "an unknown variant of pytorch-ssd"),
        (
            ("backbone._conv_stem.weight", "box_head.predictor.cls_headers.0.weight"),
            "an unknown variant of lufficc/SSD",
        ),
        (("vgg.0.weight", "conf.0.weight"), "an unknown variant of ssd.pytorch"),
        (("a", "b", "c"), "3 tensors (a, …, c)"),
    ],
)
def test_the_weights_of_something_else_are_called_by_its_name(names: tuple[str, ...], kind: str) -> None:
    with pytest.raises(ArtifactError) as refused:
        recognize({name: torch.zeros(1) for name in names}, origin="w.pth")
    message = str(refused.value)
    assert message.startswith(f"w.pth does not contain the weights of an SSD that can be imported: got {kind}")
    assert "wanted weights of one of ssd300_vgg16, " in message
