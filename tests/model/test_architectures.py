from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.model import architectures
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.architectures import build_model, empty_backbone, network
from ssd_edge.model.backbones.compact import CompactBackbone
from ssd_edge.model.zoo import make_spec, preset_names
from tests.documents import ROOT
from tests.model.factories import CLASSES, tiny_model, tiny_spec


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Fresh memory is filled with NaN, so that a weight which nobody sets shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.slow
@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("preset", preset_names())
def test_every_weight_is_initialised(preset: str) -> None:
    torch.manual_seed(1)
    for name, tensor in build_model(make_spec(preset, CLASSES)).state_dict().items():
        assert tensor.isfinite().all(), name
        if tensor.ndim == 4:
            assert 0.001 < tensor.std() < 1, name
        if name.endswith("num_batches_tracked"):
            assert tensor == 0, name


def test_fresh_memory_is_poisoned_in_that_test(poisoned_memory: None) -> None:
    assert network(tiny_spec()).to_empty(device="cpu").state_dict()["backbone.stem.0.0.weight"].isnan().all()


def test_a_layer_that_no_initializer_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Normed(CompactBackbone):
        def __init__(self, input_size: MapSize) -> None:
            super().__init__(input_size)
            self.norm = nn.GroupNorm(2, 4)

    normed = dataclasses.replace(architectures._ARCHITECTURES["compact"], backbone=Normed)
    monkeypatch.setitem(architectures._ARCHITECTURES, "compact", normed)
    with pytest.raises(RuntimeError, match=r"a bug in the network 'compact': .*backbone\.norm\.weight"):
        build_model(tiny_spec())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_builds_a_network_though_its_parent_has_computed_on_threads() -> None:
    """OpenMP's threads are not forked: the child's first operation on many values would wait for them for ever."""
    script = """
import os, signal, torch
from tests.model.factories import tiny_model
torch.set_num_threads(2)
torch.ones(1 << 22).mul_(2)
child = os.fork()
if child == 0:
    signal.alarm(60)
    tiny_model()
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0


def test_the_seed_decides_the_weights() -> None:
    first, second, third = (tiny_model(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["backbone.stem.0.0.weight"], third["backbone.stem.0.0.weight"])


def test_vgg_scale_starts_at_20() -> None:
    # SSD, section 3.1
    torch.manual_seed(0)
    scale = build_model(make_spec("ssd300-vgg16", CLASSES)).backbone.get_parameter("scale_weight")
    assert scale.eq(20).all()


def test_a_network_without_weights_takes_no_memory() -> None:
    assert all(tensor.is_meta for tensor in network(tiny_spec()).state_dict().values())
    assert all(tensor.is_meta for tensor in empty_backbone("vgg16", MapSize(300, 300)).parameters())


def test_a_new_model_is_ready_to_train() -> None:
    model = build_model(tiny_spec())
    assert model.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_an_unknown_architecture_is_refused() -> None:
    spec = dataclasses.replace(tiny_spec(), architecture="resnet")
    with pytest.raises(
        ArtifactError,
        match="unknown to this version: got 'resnet'; wanted compact, mobilenet-tiny, .*Update ssd-edge",
    ):
        build_model(spec)
