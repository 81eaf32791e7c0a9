from __future__ import annotations

import torch
from torch import nn

from ssd_edge.training.ema import WeightAverage


def test_the_average_follows_the_recurrence_and_batch_norm_statistics_are_copied() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(model, decay=0.5)
    wanted = model[0].weight.detach().clone()
    for update in range(1, 40):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(2, 2))
        model(torch.randn(4, 2))
        average.update()
        decay = min(0.5, (1 + update) / (10 + update))
        wanted = decay * wanted + (1 - decay) * model[0].weight.detach()
    torch.testing.assert_close(average.model[0].weight, wanted)
    assert torch.equal(average.model[1].running_mean, model[1].running_mean)
    assert torch.equal(average.model[1].running_var, model[1].running_var)
    assert average.model[1].num_batches_tracked.item() == 39


def test_the_copy_is_ready_to_detect_and_the_model_stays_as_it_is() -> None:
    model = nn.Linear(2, 2)
    average = WeightAverage(model, decay=0.9)
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_without_decay_it_is_the_model() -> None:
    model = nn.Linear(2, 2)
    average = WeightAverage(model, decay=0)
    with torch.no_grad():
        model.weight.fill_(3)
    average.update()
    torch.testing.assert_close(average.model.weight, torch.full((2, 2), 3.0))
