from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch.amp import GradScaler

from ssd_edge.core.errors import InputError, TrainingError
from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training import faster_layers, winograd
from ssd_edge.training.depthwise import DepthwiseConv2d
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.loader import Batch
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.optimizer import layer_rates
from ssd_edge.training.recipe import LossOptions, Optimization, Precision
from ssd_edge.training.step import Learner, not_finite_alone
from ssd_edge.training.targets import Targets
from ssd_edge.training.winograd import WinogradConv2d
from tests.training.factories import CLASS_NAMES, SIDE, multibox_loss, tiny_anchors, tiny_model, tiny_spec


def some_batch(pictures: int = 2) -> Batch:
    anchors = tiny_spec().anchors.count
    labels = torch.zeros(pictures, anchors, dtype=torch.int64)
    labels[:, ::10] = 2
    paths = [f"{number}.jpg" for number in range(pictures)]
    return Batch(torch.zeros(pictures, SIDE, SIDE, 3), Targets(labels, torch.zeros(pictures, anchors, 4)), paths)


def learner(model: SSD, *, clip_norm: float = 10.0, precision: Precision = "float32", **settings) -> Learner:
    optimisation = Optimization(0.1, momentum=0.9, weight_decay=0, clip_norm=clip_norm, precision=precision, **settings)
    return Learner(model, make_fabric(precision=precision), multibox_loss, optimisation)


def random_batch(pictures: int, *, seed: int = 0, positives: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    anchors = tiny_spec().anchors.count
    labels = torch.zeros(pictures, anchors, dtype=torch.int64)
    for row in labels:  # another number of objects in each
        row[torch.randperm(anchors, generator=generator)[:positives]] = 1 + int(
            torch.randint(3, (), generator=generator)
        )
        positives += 5
    offsets = torch.randn(pictures, anchors, 4, generator=generator)
    images = torch.randint(0, 256, (pictures, SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    return Batch(images, Targets(labels, offsets), [f"{number}.jpg" for number in range(pictures)])


def test_a_step_is_that_of_sgd_on_the_clipped_gradient() -> None:
    model, reference, batch = tiny_model(), tiny_model().train(), random_batch(2)
    parts = learner(model, clip_norm=0.5).step([batch], learning_rate=0.1)

    loss = multibox_loss(reference(DecodedSSD(reference).normalized(batch.images)), batch.targets)
    loss.total.backward()
    norm = torch.stack([parameter.grad.norm() for parameter in reference.parameters()]).norm()
    assert norm > 0.5
    assert parts.total == pytest.approx(loss.total.item(), rel=1e-4)
    for changed, parameter in zip(model.parameters(), reference.parameters(), strict=True):
        wanted = parameter.detach() - 0.1 * parameter.grad * 0.5 / norm
        torch.testing.assert_close(changed.detach(), wanted, rtol=1e-3, atol=1e-5)


def test_without_a_limit_the_gradient_is_not_clipped() -> None:
    model, reference, batch = tiny_model(), tiny_model().train(), random_batch(2)
    learner(model, clip_norm=0).step([batch], learning_rate=0.1)
    multibox_loss(reference(DecodedSSD(reference).normalized(batch.images)), batch.targets).total.backward()
    assert torch.stack([parameter.grad.norm() for parameter in reference.parameters()]).norm() > 0.5
    for changed, parameter in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(changed.detach(), parameter.detach() - 0.1 * parameter.grad, rtol=1e-3, atol=1e-5)


def test_accumulated_batches_are_one_large_batch() -> None:
    large = random_batch(6)
    parts = [
        Batch(large.images[own], Targets(large.targets.labels[own], large.targets.offsets[own]), large.paths[own])
        for own in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    models = [tiny_model(), tiny_model()]
    losses = []
    for model, batches in zip(models, ([large], parts), strict=True):
        student = learner(model, frozen=norms(model))  # batch norm sees each part alone
        losses.append(student.step(batches, learning_rate=0.1))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for one, several in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, several, rtol=1e-4, atol=1e-6)


def test_empty_batches_are_part_of_the_large_batch_too() -> None:
    """Their own share of the loss is over one; the step's is over the positives of all."""
    large, losses = random_batch(3), []
    large.targets.labels[0] = 0
    parts = [
        Batch(large.images[own], Targets(large.targets.labels[own], large.targets.offsets[own]), large.paths[own])
        for own in (slice(0, 1), slice(1, 3))
    ]
    criterion = MultiboxCriterion(LossOptions(negatives_of_empty=3), tiny_anchors(), BoxCoding())
    for batches in ([large], parts):
        model = tiny_model()
        student = Learner(model, make_fabric(), criterion, Optimization(0.1, frozen=norms(model)))
        losses.append(student.step(batches, learning_rate=0.1))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def norms(model: SSD) -> tuple[str, ...]:
    return tuple(name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d))


def test_frozen_layers_keep_weights_and_statistics_and_the_others_learn() -> None:
    model, before = tiny_model(), tiny_model().state_dict()
    learner(model, frozen=("backbone",)).step([random_batch(2)], learning_rate=0.1)
    for name, tensor in model.state_dict().items():
        if name.startswith("backbone"):
            assert torch.equal(tensor, before[name]), name
    assert any(not torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_each_layer_has_its_own_rate() -> None:
    model, before, batch = tiny_model(), tiny_model(), random_batch(2)
    reference = tiny_model()
    learner(model, backbone_rate=0.5, layer_decay=0.8).step([batch], learning_rate=0.1)
    learner(reference).step([batch], learning_rate=0.1)
    rates = layer_rates(model, backbone_rate=0.5, layer_decay=0.8)
    assert len(set(rates.values())) > 3
    full = dict(reference.named_parameters())
    old = dict(before.named_parameters())
    for name, parameter in model.named_parameters():
        wanted = old[name] + rates[name] * (full[name] - old[name])
        torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=1e-7, msg=name)


def test_a_bfloat16_step_is_near_the_float32_one() -> None:
    batch, losses = random_batch(2), []
    for precision in ("float32", "bfloat16"):
        model = tiny_model()
        losses.append(learner(model, precision=precision).step([batch], learning_rate=0.1).total)
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]


def step_error(model: SSD, batches: list[Batch], **settings) -> str:
    """Return what a step says that cannot be made, having seen that it leaves the weights alone."""
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(TrainingError) as caught:
        learner(model, **settings).step(batches, learning_rate=0.1)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert all(module.training for module in model.modules())
    return str(caught.value)


def with_endless_pixels(batch: Batch, number: int) -> Batch:
    images = batch.images.float()
    images[number] = torch.inf
    return batch._replace(images=images)


def with_endless_target(batch: Batch, number: int) -> Batch:
    batch.targets.offsets[number, batch.targets.labels[number] > 0] = torch.inf
    return batch


@pytest.mark.parametrize("spoil", [with_endless_pixels, with_endless_target])
@pytest.mark.parametrize("frozen", [(), ("backbone",)])
def test_a_loss_that_is_no_number_names_the_one_picture_that_has_it(spoil, frozen: tuple[str, ...]) -> None:
    """Through batch norm one bad image spoils the outputs of all, and the running statistics."""
    model = tiny_model()
    student = learner(model, frozen=frozen)
    with pytest.raises(TrainingError) as caught:
        student.step([spoil(random_batch(32), 20)], learning_rate=0.1)
    assert str(caught.value).startswith("the loss is no longer finite, on 20.jpg: got localization ")
    assert "Check these images" in str(caught.value)


def test_a_bad_picture_is_found_in_whichever_batch_of_the_step_it_is() -> None:
    other = random_batch(4, seed=1)._replace(paths=[f"other{number}.jpg" for number in range(4)])
    message = step_error(tiny_model(), [random_batch(4), with_endless_target(other, 2)])
    assert "no longer finite, on other2.jpg: got" in message


def test_the_search_for_a_bad_picture_leaves_batch_norm_as_it_is() -> None:
    model, batch = tiny_model().train(), random_batch(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def loss_of(one: Batch) -> torch.Tensor:
        return multibox_loss(model(DecodedSSD(model).normalized(one.images)), one.targets).total

    assert not_finite_alone(model, loss_of, [with_endless_pixels(batch, 3)]) == ["3.jpg"]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_a_batch_norm_of_a_single_value_bears_the_search() -> None:
    """As the last maps of SSD512 are: 1 x 1."""
    norm = torch.nn.BatchNorm2d(3)
    batch = with_endless_pixels(random_batch(3), 1)

    def loss_of(one: Batch) -> torch.Tensor:
        return norm(one.images.float().mean(dim=(1, 2))[..., None, None]).sum()

    assert not_finite_alone(norm, loss_of, [batch]) == ["1.jpg"]


def test_where_all_pictures_are_bad_the_learning_rate_is_blamed() -> None:
    batch = some_batch(12)._replace(images=torch.full((12, SIDE, SIDE, 3), torch.inf))
    message = step_error(tiny_model(), [batch])
    assert message.startswith("the loss is no longer finite, on 0.jpg, 1.jpg, ")
    assert "10.jpg, 11.jpg: got localization" in message
    assert message.endswith("No single image is the cause: use a smaller --lr.")


def test_where_no_picture_alone_is_bad_the_error_says_so_and_names_all() -> None:
    def endless_together(outputs, targets):
        loss = multibox_loss(outputs, targets)
        return loss if len(targets.labels) == 2 else loss._replace(confidence=loss.confidence * torch.inf)

    student = Learner(tiny_model(), make_fabric(), endless_together, Optimization(0.1))
    with pytest.raises(TrainingError) as caught:
        student.step([random_batch(3)], learning_rate=0.1)
    assert "no longer finite, though the loss of each single image is; the batch was 0.jpg, 1.jpg, 2.jpg: got" in str(
        caught.value
    )
    assert str(caught.value).endswith("No single image is the cause: use a smaller --lr.")


def float16_learner(model: SSD, criterion=multibox_loss) -> Learner:
    """Fabric itself refuses float16 on a processor."""
    precision = MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu"))
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[precision])
    return Learner(model, fabric, criterion, Optimization(0.1, precision="float16"))


@pytest.mark.slow
def test_a_step_that_overflows_float16_is_made_again_with_a_smaller_scale() -> None:
    models, batch = [tiny_model(), tiny_model()], random_batch(2)
    students = [float16_learner(model) for model in models]
    students[0].load_scaler({**students[0].scaler_state(), "scale": 2.0**43})
    losses = [student.step([batch], learning_rate=0.1) for student in students]
    assert 1 <= students[0].scaler_state()["scale"] < 2.0**40
    assert losses[0] == losses[1]
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=1e-3)
        assert torch.isfinite(one).all()


@pytest.mark.slow
def test_a_float16_gradient_that_no_scale_makes_finite_ends_the_run() -> None:
    model = tiny_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    student = float16_learner(model)
    next(model.parameters()).register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(TrainingError, match="the gradient is no longer finite") as caught:
        student.step([random_batch(3)], learning_rate=0.1)
    assert str(caught.value).endswith("No single image is the cause: use a smaller --lr.")
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_full_gpu_is_said_with_options_that_need_less() -> None:
    message = (
        "CUDA out of memory. Tried to allocate 64.37 GiB. GPU 0 has a total capacity of 139.80 GiB of which 57.18 GiB "
        "is free. Process 3511 has 4.42 GiB memory in use. If reserved but unallocated memory is large try setting"
    )

    def full(outputs, targets):
        raise torch.cuda.OutOfMemoryError(message)

    student = Learner(tiny_model(), make_fabric(), full, Optimization(0.1))
    with pytest.raises(TrainingError) as caught:
        student.step([random_batch(6), random_batch(6)], learning_rate=0.1)
    assert str(caught.value) == (
        "the GPU's memory is full with 6 images per batch: got CUDA out of memory. Tried to allocate 64.37 GiB. GPU 0 "
        "has a total capacity of 139.80 GiB of which 57.18 GiB is free. Close other programs on the GPU, or use "
        "--batch-size 3 --accumulate 4."
    )


def test_fabric_says_nothing_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    make_fabric(precision="bfloat16")
    assert caplog.records == []


def test_a_layer_that_is_not_there_cannot_be_frozen() -> None:
    with pytest.raises(InputError, match=r"there is no layer 'backbone.feature' to freeze: wanted one of backbone"):
        learner(tiny_model(), frozen=("backbone.feature",))


def test_something_must_be_left_to_train() -> None:
    with pytest.raises(InputError, match="every layer is frozen: got backbone, head"):
        learner(tiny_model(), frozen=("backbone", "head"))


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_depthwise_layers_learn_by_the_faster_gradients_on_a_processor(precision: Precision) -> None:
    spec = make_spec("ssdlite320-mobilenet-v3-large", CLASS_NAMES, input_size=96)
    anchors = spec.anchors.count
    targets = Targets(torch.arange(2 * anchors).reshape(2, -1) % 4, torch.zeros(2, anchors, 4))
    batch = Batch(torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8), targets, ["0.jpg", "1.jpg"])
    model = build_model(spec)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    loss = learner(model, precision=precision).step([batch], learning_rate=0.1)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1}
    assert {type(layer) for layer in layers.values()} == {DepthwiseConv2d}
    assert math.isfinite(loss.total)
    assert all(not torch.equal(layer.weight, before[f"{name}.weight"]) for name, layer in layers.items())


def test_a_step_by_winograds_convolutions_is_that_of_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_LEAST_GAIN", 0.0)
    weights, counts = [], []
    for fast in (False, True):
        monkeypatch.setattr(faster_layers, "has_fast_products", lambda fast=fast: fast)
        torch.manual_seed(0)
        model = tiny_model()
        for _ in range(2):
            learner(model).step([some_batch()], learning_rate=0.01)
        weights.append(dict(model.named_parameters()))
        counts.append(sum(isinstance(layer, WinogradConv2d) for layer in model.modules()))
    assert counts[0] == 0 < counts[1]
    for name, wanted in weights[0].items():
        torch.testing.assert_close(weights[1][name], wanted, rtol=1e-3, atol=1e-5)
        assert not wanted.isnan().any()
