"""Norms over all processes, of which there is one here: PyTorch's own and timm's say what they must give."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import distributed, nn

from ssd_edge.training.sync_batch_norm import SynchronisedBatchNorm2d, synchronise_norms_

CPU = torch.device("cpu")


@pytest.fixture
def one_process() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def batches(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(4, 5, 6, 7, generator=generator) * 3 + 2 for _ in range(count)]


def check_equal(model: nn.Module, reference: nn.Module) -> None:
    """Train on three batches, then evaluate one: outputs, gradients, weights and statistics are the same."""
    for features in batches(3):
        own, other = features.clone().requires_grad_(), features.clone().requires_grad_()
        for network, inputs in ((model, own), (reference, other)):
            network(inputs).square().sum().backward()
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-4)
    for (name, value), (wanted_name, wanted) in zip(
        model.state_dict().items(), reference.state_dict().items(), strict=True
    ):
        assert name == wanted_name
        torch.testing.assert_close(value, wanted)
    for (_, value), (_, wanted) in zip(model.named_parameters(), reference.named_parameters(), strict=True):
        torch.testing.assert_close(value.grad, wanted.grad, rtol=1e-4, atol=1e-3)
    (features,) = batches(1)
    torch.testing.assert_close(model.eval()(features), reference.eval()(features))


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("momentum", [0.1, 0.03, None])
def test_one_process_has_pytorchs_batch_norm(momentum: float | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(5, 5, 1), nn.Sequential(nn.BatchNorm2d(5, eps=1e-3, momentum=momentum), nn.ReLU()))
    reference = copy.deepcopy(model)
    weight = model[1][0].weight
    synchronise_norms_(model, CPU)
    assert type(model[1][0]) is SynchronisedBatchNorm2d
    assert model[1][0].weight is weight  # the optimizer may hold it already
    check_equal(model, reference)


@pytest.mark.usefixtures("one_process")
def test_an_activation_that_timm_fuses_with_a_norm_stays() -> None:
    layers = pytest.importorskip("timm.layers")
    model = nn.Sequential(layers.BatchNormAct2d(5, act_layer=nn.ReLU))
    nn.init.normal_(model[0].weight)
    reference = copy.deepcopy(model)
    synchronise_norms_(model, CPU)
    assert type(model[0]) is SynchronisedBatchNorm2d
    check_equal(model, reference)
    assert float(model(batches(1)[0]).detach().min()) == 0


def test_gpus_have_pytorchs_own_but_for_fused_norms() -> None:
    layers = pytest.importorskip("timm.layers")
    model = nn.Sequential(nn.BatchNorm2d(5), layers.BatchNormAct2d(5)).eval()
    held = model[0].running_mean
    synchronise_norms_(model, torch.device("cuda"))
    assert [type(norm) for norm in model] == [nn.SyncBatchNorm, SynchronisedBatchNorm2d]
    assert model[0].running_mean is held
    assert not any(norm.training for norm in model)
