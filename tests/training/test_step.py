from __future__ import annotations

import pytest
import torch

from ssd_edge.core.errors import TrainingError
from ssd_edge.training.loader import Batch
from ssd_edge.training.loss import multibox_loss
from ssd_edge.training.optimiser import make_sgd
from ssd_edge.training.step import training_step
from ssd_edge.training.targets import Targets
from tests.training.factories import SIDE, tiny_model, tiny_spec


def some_batch(pictures: int = 2) -> Batch:
    anchors = tiny_spec().anchors.count
    labels = torch.zeros(pictures, anchors, dtype=torch.int64)
    labels[:, ::10] = 2
    paths = [f"{number}.jpg" for number in range(pictures)]
    return Batch(torch.zeros(pictures, SIDE, SIDE, 3), Targets(labels, torch.zeros(pictures, anchors, 4)), paths)


def test_a_step_is_that_of_sgd_on_the_clipped_gradient() -> None:
    model, reference = tiny_model(), tiny_model()
    images, batch = torch.randn(2, 3, SIDE, SIDE), some_batch()
    optimiser = make_sgd(model, learning_rate=0.1, momentum=0.9, weight_decay=0)
    parts = training_step(model, images, batch, optimiser, clip_norm=0.5, bfloat16=False)

    loss = multibox_loss(reference(images), batch.targets)
    loss.total.backward()
    norm = torch.stack([parameter.grad.norm() for parameter in reference.parameters()]).norm()
    assert norm > 0.5
    assert parts.total == pytest.approx(loss.total.item(), rel=1e-4)
    for changed, parameter in zip(model.parameters(), reference.parameters(), strict=True):
        wanted = parameter.detach() - 0.1 * parameter.grad * 0.5 / norm
        torch.testing.assert_close(changed.detach(), wanted, rtol=1e-3, atol=1e-5)


def test_a_bfloat16_step_is_near_the_float32_one() -> None:
    images, batch, losses = torch.randn(2, 3, SIDE, SIDE), some_batch(), []
    for bfloat16 in (False, True):
        model = tiny_model()
        optimiser = make_sgd(model, learning_rate=0.1, momentum=0.9, weight_decay=0)
        losses.append(training_step(model, images, batch, optimiser, clip_norm=10, bfloat16=bfloat16).total)
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize("pictures", [2, 12])
def test_a_loss_that_is_no_number_stops_the_run_and_names_the_pictures(pictures: int) -> None:
    model, batch = tiny_model(), some_batch(pictures)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimiser = make_sgd(model, learning_rate=0.1, momentum=0.9, weight_decay=0)
    images = torch.full((pictures, 3, SIDE, SIDE), torch.inf)
    with pytest.raises(TrainingError) as caught:
        training_step(model, images, batch, optimiser, clip_norm=10, bfloat16=False)
    message = str(caught.value)
    assert message.startswith("the loss is not finite any more, on 0.jpg, 1.jpg")
    assert ("7.jpg and 4 more: got localisation" in message) == (pictures == 12)
    assert "smaller --lr" in message
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
