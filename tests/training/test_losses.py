from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssd import SSD as TorchvisionSSD  # noqa: N811
from torchvision.ops import sigmoid_focal_loss

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.heads import HeadOutputs
from ssd_edge.training.losses import MultiboxCriterion, focal_loss, hard_negatives
from ssd_edge.training.recipe import LossOptions
from ssd_edge.training.targets import TargetEncoder, Targets, match
from tests.training.factories import multibox_loss, random_boxes, tiny_anchors


class ReferenceLoss:
    """torchvision's ``SSD.compute_loss``, without the network around it."""

    neg_to_pos_ratio = 3.0
    box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    compute_loss = TorchvisionSSD.compute_loss


def corner_anchors(anchors):
    return np.concatenate([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], axis=1)


def random_batch(rng: np.random.Generator, *, pictures: int, classes: int):
    """Return (targets, what torchvision wants to know) of random objects, some images without any."""
    anchors = tiny_anchors()
    corners = corner_anchors(anchors)
    encode = TargetEncoder(anchors, BoxCoding())
    encoded, truths, matches = [], [], []
    for _ in range(pictures):
        boxes = random_boxes(rng, int(rng.integers(0, 4)))
        class_ids = rng.integers(0, classes, len(boxes))
        encoded.append(encode(boxes, class_ids))
        truths.append({"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(class_ids + 1)})
        matches.append(torch.from_numpy(match(boxes, corners)))
    targets = Targets(*(torch.stack(part) for part in zip(*encoded, strict=True)))
    return targets, (truths, [torch.from_numpy(corners)] * pictures, matches)


def random_outputs(rng: np.random.Generator, targets: Targets, classes: int) -> HeadOutputs:
    pictures, anchors = targets.labels.shape
    logits = torch.from_numpy(rng.normal(0, 3, (pictures, anchors, classes + 1)).astype(np.float32))
    offsets = torch.from_numpy(rng.normal(0, 1, (pictures, anchors, 4)).astype(np.float32))
    return HeadOutputs(logits.requires_grad_(), offsets.requires_grad_())


def gradients(loss: Tensor, outputs: HeadOutputs) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, [outputs.class_logits, outputs.box_offsets])


@pytest.mark.parametrize("seed", range(100))
def test_loss_and_gradient_equal_torchvisions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(1, 21))
    targets, (truths, anchors, matches) = random_batch(rng, pictures=int(rng.integers(1, 6)), classes=classes)
    outputs = random_outputs(rng, targets, classes)
    wanted = ReferenceLoss().compute_loss(
        truths,
        {"bbox_regression": outputs.box_offsets, "cls_logits": outputs.class_logits},
        anchors,
        matches,
    )
    loss = multibox_loss(outputs, targets)
    torch.testing.assert_close(loss.localisation, wanted["bbox_regression"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.confidence, wanted["classification"], rtol=1e-5, atol=1e-5)
    for got, expected in zip(gradients(loss.total, outputs), gradients(sum(wanted.values()), outputs), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_loss_of_one_positive_is_the_formula_of_the_paper() -> None:
    logits = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0], [5.0, 0.0]]])
    offsets = torch.zeros(1, 5, 4)
    targets = Targets(torch.tensor([[1, 0, 0, 0, 0]]), torch.zeros(1, 5, 4))
    targets.offsets[0, 0] = torch.tensor([0.5, -2.0, 0.0, 0.0])
    loss = multibox_loss(HeadOutputs(logits, offsets), targets)
    assert float(loss.localisation) == pytest.approx(0.5 * 0.5**2 + (2 - 0.5))
    as_wanted = [1 / (1 + np.exp(-2)), np.e / (1 + np.e), 1 / (1 + np.e), 1 / (1 + np.exp(3))]  # not the easy last
    assert float(loss.confidence) == pytest.approx(-np.log(as_wanted).sum(), rel=1e-5)
    assert float(loss.total) == pytest.approx(float(loss.localisation) + float(loss.confidence))


def test_a_batch_without_objects_costs_nothing_and_has_a_gradient() -> None:
    logits, offsets = torch.randn(2, 6, 4, requires_grad=True), torch.randn(2, 6, 4, requires_grad=True)
    targets = Targets(torch.zeros(2, 6, dtype=torch.int64), torch.zeros(2, 6, 4))
    loss = multibox_loss(HeadOutputs(logits, offsets), targets)
    loss.total.backward()
    assert loss.total.item() == 0
    assert not logits.grad.any()
    assert not offsets.grad.any()


def test_each_picture_gets_the_negatives_that_it_gets_most_wrong() -> None:
    logits = torch.zeros(2, 8, 3)
    logits[..., 0] = torch.arange(8.0)
    positive = torch.zeros(2, 8, dtype=torch.bool)
    positive[0, 1] = True
    chosen = hard_negatives(logits, positive, negatives_per_positive=3)
    assert chosen[0].nonzero().flatten().tolist() == [0, 2, 3]
    assert not chosen[1].any()


def test_a_picture_without_objects_gets_as_many_negatives_as_are_asked_for() -> None:
    logits = torch.zeros(3, 8, 3)
    logits[..., 0] = torch.arange(8.0)
    positive = torch.zeros(3, 8, dtype=torch.bool)
    positive[0, 1] = True
    chosen = hard_negatives(logits, positive, negatives_per_positive=1, negatives_of_empty=2)
    assert [row.nonzero().flatten().tolist() for row in chosen] == [[0], [0, 1], [0, 1]]
    assert hard_negatives(logits, positive, negatives_per_positive=1, negatives_of_empty=99)[1].all()


@pytest.mark.parametrize("seed", range(10))
def test_negatives_of_empty_pictures_come_on_top_of_torchvisions_loss(seed: int) -> None:
    """At 0 it is torchvision's; at N each image without objects adds its N greatest losses as background."""
    rng = np.random.default_rng(seed)
    targets, (truths, anchors, matches) = random_batch(rng, pictures=6, classes=4)
    targets = Targets(targets.labels.clone(), targets.offsets)
    targets.labels[:2], matches[:2] = 0, [torch.full_like(match, -1) for match in matches[:2]]
    outputs = random_outputs(rng, targets, 4)
    theirs = ReferenceLoss().compute_loss(
        truths, {"bbox_regression": outputs.box_offsets, "cls_logits": outputs.class_logits}, anchors, matches
    )
    positive = targets.labels > 0
    as_background = -outputs.class_logits.log_softmax(-1)[..., 0]
    hardest = as_background.topk(5).values.sum(dim=1)[~positive.any(dim=1)].sum()
    for count, more in ((0, 0.0), (5, hardest / positive.sum().clamp(min=1))):
        criterion = MultiboxCriterion(LossOptions(negatives_of_empty=count), tiny_anchors(), BoxCoding())
        loss = criterion(outputs, targets)
        torch.testing.assert_close(loss.confidence, theirs["classification"] + more, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(loss.localisation, theirs["bbox_regression"], rtol=1e-5, atol=1e-5)


def test_a_picture_with_few_negatives_gives_all_of_them_and_no_positive() -> None:
    positive = torch.tensor([[True, True, True, False, False]])
    chosen = hard_negatives(torch.randn(1, 5, 3), positive, negatives_per_positive=3)
    assert torch.equal(chosen, ~positive)


def test_bfloat16_outputs_give_a_float32_loss() -> None:
    targets = Targets(torch.tensor([[1, 0, 0, 0, 0]]), torch.zeros(1, 5, 4))
    outputs = HeadOutputs(torch.randn(1, 5, 3).bfloat16(), torch.randn(1, 5, 4).bfloat16())
    assert multibox_loss(outputs, targets).total.dtype == torch.float32


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
    centers = anchors[:, :2] + offsets[..., :2] * 0.1 * anchors[:, 2:]
    sides = anchors[:, 2:] * np.exp(offsets[..., 2:] * 0.2)
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)


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
    with pytest.raises(InputError, match=r"--empty-negatives has no effect with the focal loss, .*: got 3; wanted 0"):
        LossOptions(classification="focal", negatives_of_empty=3)


def test_the_focal_loss_has_no_label_smoothing() -> None:
    with pytest.raises(InputError, match=r"the focal loss cannot be combined with label smoothing: got 0\.1; wanted 0"):
        LossOptions(classification="focal", label_smoothing=0.1)


@pytest.mark.parametrize("classification", ["cross-entropy", "focal"])
def test_ignored_anchors_change_neither_loss_nor_gradient(classification: Any) -> None:
    """Whatever the network says there, the loss is that of the others, and nothing is learned there."""
    anchors = np.full((6, 4), 0.5, np.float32)
    options = dataclasses.replace(LossOptions(), classification=classification)
    criterion = MultiboxCriterion(options, anchors, BoxCoding())
    labels = torch.tensor([[2, 0, -1, 0, 0, -1]])
    targets = Targets(labels, torch.zeros(1, 6, 4))
    losses = []
    for value in (-9.0, 9.0):
        logits = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
        logits[labels == -1] = value * torch.tensor([-1.0, 0.5, 0.5])
        logits.requires_grad_()
        loss = criterion(HeadOutputs(logits, torch.zeros(1, 6, 4)), targets).total
        loss.backward()
        losses.append(loss.item())
        assert logits.grad is not None
        assert not logits.grad[labels == -1].any()
        assert logits.grad[labels == 2].any()
    assert losses[0] == losses[1] > 0
