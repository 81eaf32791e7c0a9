from __future__ import annotations

from torch import nn

from ssd_edge.training.optimizer import make_sgd, set_learning_rate


def test_only_weights_of_more_than_one_dimension_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    optimiser = make_sgd(model, learning_rate=0.1, momentum=0.9, weight_decay=5e-4)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert decay == {
        id(model[0].weight): 5e-4,
        id(model[0].bias): 0,
        id(model[1].weight): 0,
        id(model[1].bias): 0,
        id(model[2].bias): 0,
    }
    assert all(group["momentum"] == 0.9 for group in optimiser.param_groups)


def test_all_groups_get_the_learning_rate() -> None:
    optimiser = make_sgd(nn.Linear(2, 2), learning_rate=0.1, momentum=0.9, weight_decay=0)
    set_learning_rate(optimiser, 0.025)
    assert [group["lr"] for group in optimiser.param_groups] == [0.025] * len(optimiser.param_groups)
