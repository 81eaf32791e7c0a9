from __future__ import annotations

import torch

from ssd_edge.training.precision import PrecisionTimes, measure_precisions
from tests.training.factories import tiny_model


def test_measuring_leaves_the_model_as_it_is() -> None:
    model, threads = tiny_model(), torch.get_num_threads()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    times = measure_precisions(model, batch_size=1)
    assert times.float32_s > 0
    assert times.bfloat16_s > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.get_num_threads() == threads
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_small_gain_is_not_worth_the_digits() -> None:
    assert PrecisionTimes(float32_s=2.0, bfloat16_s=1.0).bfloat16_pays
    assert not PrecisionTimes(float32_s=1.1, bfloat16_s=1.0).bfloat16_pays
    assert not PrecisionTimes(float32_s=1.0, bfloat16_s=3.0).bfloat16_pays
