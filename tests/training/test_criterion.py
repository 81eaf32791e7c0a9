from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.heads import HeadOutputs
from ssd_edge.training.losses import MultiboxCriterion, focal_loss
from ssd_edge.training.recipe import LossOptions
from ssd_edge.training.targets import Targets
from tests.training.factories import tiny_anchors
from tests.training.test_loss import gradients, random_batch, random_outputs

CLASSES = 3


def criterion(**options) -> MultiboxCriterion:
    return MultiboxCriterion(LossOptions(**options), tiny_anchors(), BoxCoding())


def some(seed: int = 0, pictures: int = 3) -> tuple[HeadOutputs, Targets]:
    rng = np.random.default_rng(seed)
    targets, _ = random_batch(rng, pictures=pictures, classes=CLASSES)
    return random_outputs(rng, targets, CLASSES), targets


def test_alpha_weighs_the_boxes_and_a_larger_share_of_negatives_counts_more_of_them() -> None:
    outputs, targets = some()
    one, two = criterion()(outputs, targets), criterion(alpha=2.0)(outputs, targets)
    assert two.localisation.item() == pytest.approx(2 * one.localisation.item())
    assert two.confidence == one.confidence
    assert criterion(negatives_per_positive=6.0)(outputs, targets).confidence > one.confidence


def reference_boxes(offsets: np.ndarray) -> np.ndarray:
    """Decode in float64, straight from the formula."""
    anchors = tiny_anchors().astype(np.float64)
    centres = anchors[:, :2] + offsets[..., :2] * 0.1 * anchors[:, 2:]
    sides = anchors[:, 2:] * np.exp(offsets[..., 2:] * 0.2)
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)


def reference_iou_loss(box: np.ndarray, truth: np.ndarray, kind: str) -> float:
    """1 - GIoU (arXiv 1902.09630) or 1 - DIoU (arXiv 1911.08287) of one pair."""
    low, high = np.maximum(box[:2], truth[:2]), np.minimum(box[2:], truth[2:])
    overlap = np.prod(np.clip(high - low, 0, None))
    union = np.prod(box[2:] - box[:2]) + np.prod(truth[2:] - truth[:2]) - overlap
    hull_low, hull_high = np.minimum(box[:2], truth[:2]), np.maximum(box[2:], truth[2:])
    if kind == "giou":
        hull = np.prod(hull_high - hull_low)
        return 1 - overlap / union + (hull - union) / hull
    apart = ((box[:2] + box[2:] - truth[:2] - truth[2:]) ** 2).sum() / 4
    return 1 - overlap / union + apart / ((hull_high - hull_low) ** 2).sum()


@pytest.mark.parametrize("kind", ["giou", "diou"])
@pytest.mark.parametrize("seed", range(4))
def test_box_losses_equal_their_formulas(kind: str, seed: int) -> None:
    outputs, targets = some(seed)
    boxes = reference_boxes(outputs.box_offsets.detach().numpy().astype(np.float64))
    truths = reference_boxes(targets.offsets.numpy().astype(np.float64))
    positive = targets.labels.numpy() > 0
    pairs = list(zip(boxes[positive], truths[positive], strict=True))
    wanted = sum(reference_iou_loss(box, truth, kind) for box, truth in pairs) / max(len(pairs), 1)
    loss = criterion(localisation=kind)(outputs, targets)
    assert loss.localisation.item() == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", ["giou", "diou"])
def test_wild_boxes_have_finite_losses_and_slopes(kind: str) -> None:
    outputs, targets = some()
    wild = HeadOutputs(outputs.class_logits, (outputs.box_offsets.detach() * 1e4).requires_grad_())
    loss = criterion(localisation=kind)(wild, targets)
    assert all(torch.isfinite(slope).all() for slope in gradients(loss.total, wild))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_equals_its_formula(gamma: float) -> None:
    outputs, targets = some(3)
    logits, labels = outputs.class_logits.detach().double().numpy(), targets.labels.numpy()
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    p = np.take_along_axis(powers / powers.sum(-1, keepdims=True), labels[..., None], -1)[..., 0]
    wanted = -(np.where(labels > 0, 0.25, 0.75) * (1 - p) ** gamma * np.log(p)).sum()
    got = focal_loss(outputs.class_logits, targets.labels, gamma=gamma, alpha=0.25)
    assert got.item() == pytest.approx(wanted, rel=1e-4)


def test_with_one_class_the_focal_loss_is_that_of_the_sigmoid() -> None:
    """The softmax of two logits is the sigmoid of their difference: torchvision's loss then says the same."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 3, (2, 50, 2)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 2, (2, 50)))
    wanted = sigmoid_focal_loss(logits[..., 1] - logits[..., 0], labels.float(), alpha=0.25, gamma=2, reduction="sum")
    torch.testing.assert_close(focal_loss(logits, labels, gamma=2, alpha=0.25), wanted, rtol=1e-5, atol=1e-5)


def test_sure_predictions_have_finite_slopes() -> None:
    logits = torch.tensor([[[200.0, -200.0], [-200.0, 200.0]]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[0, 0]]), gamma=0.5, alpha=0.25)
    (slope,) = torch.autograd.grad(loss, [logits])
    assert torch.isfinite(slope).all()


def test_smoothed_labels_want_less_than_certainty() -> None:
    """A perfect prediction costs nothing with plain labels, and something with smoothed ones."""
    _, targets = some()
    sure = torch.nn.functional.one_hot(targets.labels, CLASSES + 1).float() * 50
    perfect = HeadOutputs(sure, targets.offsets)
    assert criterion()(perfect, targets).confidence < 1e-3
    assert criterion(label_smoothing=0.1)(perfect, targets).confidence > 1


@pytest.mark.parametrize(
    "options",
    [{}, {"localisation": "giou"}, {"localisation": "diou"}, {"classification": "focal"}, {"label_smoothing": 0.1}],
)
def test_a_batch_without_objects_is_fine(options: dict[str, object]) -> None:
    outputs, targets = some()
    empty = Targets(torch.zeros_like(targets.labels), torch.zeros_like(targets.offsets))
    loss = criterion(**options)(outputs, empty)
    assert loss.localisation == 0
    assert (loss.confidence > 0) == (options.get("classification") == "focal")
    assert all(torch.isfinite(slope).all() for slope in gradients(loss.total, outputs))


def test_a_batch_without_objects_can_teach_background() -> None:
    outputs, targets = some()
    empty = Targets(torch.zeros_like(targets.labels), torch.zeros_like(targets.offsets))
    loss = criterion(negatives_of_empty=3)(outputs, empty)
    wanted = -outputs.class_logits.log_softmax(-1)[..., 0]
    assert loss.confidence.item() == pytest.approx(wanted.topk(3).values.sum().item(), rel=1e-5)  # over one
    assert loss.localisation == 0


def test_the_focal_loss_chooses_no_negatives_of_empty_pictures() -> None:
    with pytest.raises(InputError, match=r"the focal loss chooses no hard negatives: .*: got 3; wanted 0"):
        LossOptions(classification="focal", negatives_of_empty=3)


def test_the_focal_loss_has_no_label_smoothing() -> None:
    with pytest.raises(InputError, match=r"the focal loss has no label smoothing: got 0\.1; wanted 0"):
        LossOptions(classification="focal", label_smoothing=0.1)
