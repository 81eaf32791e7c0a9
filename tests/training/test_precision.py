from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ssd_edge.core.errors import InputError
from ssd_edge.core.timing import Timing
from ssd_edge.model.ssd import SSD
from ssd_edge.training import precision
from ssd_edge.training.config import Machine
from ssd_edge.training.precision import PrecisionTimes, choose_precision, measure_precisions
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


@pytest.mark.parametrize(("bfloat16_s", "timed"), [(3.0, {nn.Conv2d}), (0.4, {nn.Conv2d, SSD})])
def test_no_network_is_timed_where_not_even_a_convolution_gains(
    monkeypatch: pytest.MonkeyPatch, bfloat16_s: float, timed: set[type]
) -> None:
    """A pass of VGG16 in emulated bfloat16 takes minutes."""
    seen = set()

    def time_calls(passes: dict[bool, Any], **_: object) -> dict[bool, Timing]:
        seen.update(type(call.args[0]) for call in passes.values())
        return {False: Timing((1000.0,)), True: Timing((1000 * bfloat16_s,))}

    monkeypatch.setattr(precision, "time_calls", time_calls)
    assert measure_precisions(tiny_model(), batch_size=1).bfloat16_pays == (bfloat16_s < 1)
    assert seen == timed


@pytest.mark.parametrize(("has_bfloat16", "chosen"), [(True, "bfloat16"), (False, "float16")])
def test_gpus_compute_in_the_short_format_that_they_have(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    monkeypatch.setattr(precision, "_measured", lambda spec: pytest.fail("a processor was measured"))
    spec = tiny_model().spec
    assert choose_precision(spec, None, Machine(device="cuda")) == chosen
    assert choose_precision(spec, None, Machine(device="auto")) == chosen
    assert choose_precision(spec, "float32", Machine(device="auto")) == "float32"
    with pytest.raises(InputError, match="float16 needs a GPU: got --device cpu"):
        choose_precision(spec, "float16", Machine(device="cpu"))
