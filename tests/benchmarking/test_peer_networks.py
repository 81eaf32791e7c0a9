"""torchvision's networks beside ours: the same tensors, and what is said where they are others."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import pytest

from ssd_edge.benchmarking.peers import detectors
from ssd_edge.benchmarking.peers.detectors import NETWORKS, TorchvisionRunner
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import ModelSpec

torch = pytest.importorskip("torch")


def shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def spec_of(architecture: str) -> ModelSpec:
    from ssd_edge.model.zoo import make_spec

    preset = "ssd300-vgg16" if architecture == "vgg16" else "ssdlite320-mobilenet-v3-large"
    return dataclasses.replace(make_spec(preset, ["a", "b"]), architecture=architecture)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_tensors_are_ours_by_name_and_shape(architecture: str) -> None:
    from torchvision.models.detection import ssdlite

    from ssd_edge.model.architectures import network

    spec, builder = spec_of(architecture), ssdlite.mobilenet_v3_large
    with torch.device("meta"):
        theirs, ours = detectors._network(spec), network(spec)
    assert shapes(theirs) == shapes(ours)
    assert ssdlite.mobilenet_v3_large is builder  # what was changed for the wide tail


def test_an_architecture_that_torchvision_lacks_is_named() -> None:
    with pytest.raises(ArtifactError, match="torchvision has no network 'resnet50'.*wanted vgg16"):
        detectors._network(types.SimpleNamespace(architecture="resnet50"))  # type: ignore[arg-type]


def test_a_checkpoint_with_other_tensors_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of("mobilenet-v3-large-lite-reduced")
    others = types.SimpleNamespace(spec=spec, state_dict=lambda: {"head.weight": torch.zeros(1)})
    monkeypatch.setattr("ssd_edge.model.checkpoint.load_checkpoint", lambda _: types.SimpleNamespace(model=others))
    threads = torch.get_num_threads()
    try:
        with (
            torch.device("meta"),
            pytest.raises(ArtifactError, match=r"does not match best\.pt: got .*Missing key") as refused,
        ):
            TorchvisionRunner(Task("torchvision", "best.pt", threads=threads))
    finally:
        torch.set_num_threads(threads)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 400
