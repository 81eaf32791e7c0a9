from __future__ import annotations

import pytest
import torch
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


def test_weights_are_updated_in_one_pass_where_pytorch_can() -> None:
    model, reference = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    reference.load_state_dict(model.state_dict())
    optimiser = make_sgd(model, learning_rate=0.1, momentum=0.9, weight_decay=5e-4)
    plain = torch.optim.SGD(
        [{"params": [reference.weight], "weight_decay": 5e-4}, {"params": [reference.bias]}], lr=0.1, momentum=0.9
    )
    for step in range(3):
        for own, other in zip(model.parameters(), reference.parameters(), strict=True):
            own.grad = torch.full_like(own, 0.5 - step)
            other.grad = own.grad.clone()
        set_learning_rate(optimiser, 0.1)
        optimiser.step()
        plain.step()
    for own, other in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, other)
    assert [group["fused"] for group in optimiser.param_groups] == [_fuses() or None] * 2


def _fuses() -> bool:
    try:
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], fused=True)
    except (TypeError, RuntimeError):
        return False
    return True


def test_a_state_from_another_machine_does_not_bring_its_choice() -> None:
    optimiser = make_sgd(nn.Linear(2, 2), learning_rate=0.1, momentum=0.9, weight_decay=0)
    chosen = optimiser.param_groups[0]["fused"]
    state = optimiser.state_dict()
    for group in state["param_groups"]:
        group["fused"] = None if chosen else True
    optimiser.load_state_dict(state)
    assert [group["fused"] for group in optimiser.param_groups] == [chosen] * len(optimiser.param_groups)


@pytest.mark.parametrize("error", [TypeError("unexpected keyword 'fused'"), RuntimeError("fused needs a GPU")])
def test_a_pytorch_that_cannot_fuse_updates_weight_by_weight(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    whole = torch.optim.SGD

    def earlier(parameters: object, *, fused: bool | None = None, **settings: float) -> torch.optim.SGD:
        if fused:
            raise error
        return whole(parameters, **settings)

    monkeypatch.setattr(torch.optim, "SGD", earlier)
    optimiser = make_sgd(nn.Linear(2, 2), learning_rate=0.1, momentum=0.9, weight_decay=0)
    assert {group["fused"] for group in optimiser.param_groups} == {None}


def test_other_devices_than_processors_keep_pytorchs_choice() -> None:
    optimiser = make_sgd(nn.Linear(2, 2, device="meta"), learning_rate=0.1, momentum=0.9, weight_decay=0)
    assert {group["fused"] for group in optimiser.param_groups} == {None}
