from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.pretrained import fill_backbone_, logit_tensors
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weight_source import Weights, read_weights
from ssd_edge.model.zoo import build_model, make_spec

NAMES = ("a", "b")


def detector(preset: str, **options) -> SSD:
    torch.manual_seed(3)
    return build_model(make_spec(preset, NAMES, **options)).eval()


def classifier(name: str) -> nn.Module:
    """Return torchvision's, with batch norm statistics that are not those of a fresh one."""
    torch.manual_seed(7)
    network = torchvision.models.get_model(name, weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network


IMAGES = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("preset", "name", "stages", "tensors"),
    [
        ("ssdlite300-mobilenet-v2", "mobilenet_v2", None, 260),
        ("ssdlite320-mobilenet-v2", "mobilenet_v2", None, 260),
        ("ssdlite320-mobilenet-v3-large", "mobilenet_v3_large", 13, 214),
        ("ssdlite320-mobilenet-v3-large-stride8", "mobilenet_v3_large", 13, 214),
    ],
)
def test_the_backbone_computes_what_torchvisions_classifier_does(
    preset: str, name: str, stages: int | None, tensors: int
) -> None:
    model, source = detector(preset), classifier(name)
    assert fill_backbone_(model, Weights(source.state_dict(), name)).tensors[0] == tensors
    own = nn.Sequential(*[layer for stage in model.backbone.features for layer in stage])
    with torch.no_grad():
        wanted = source.features[:stages](IMAGES)
        got = _first_of_shape(own, wanted.shape) if stages else own(IMAGES)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def _first_of_shape(layers: nn.Sequential, shape: torch.Size) -> torch.Tensor:
    """Return the last output of the wanted shape before the maps change."""
    features, found = IMAGES, []
    for layer in layers:
        features = layer(features)
        if features.shape == shape:
            found.append(features)
    return found[-1]


@pytest.mark.parametrize(
    ("preset", "name"), [("ssd300-resnet50", "resnet50"), ("ssdlite300-squeezenet", "squeezenet1_1")]
)
def test_layers_are_taken_in_their_order_as_far_as_the_networks_are_the_same(preset: str, name: str) -> None:
    """Up to conv4 of ResNet50; all of SqueezeNet, whose last Fire module lies behind the first map."""
    model, source = detector(preset), classifier(name)
    taken, _ = fill_backbone_(model, Weights(source.state_dict(), name)).tensors
    assert taken == {"resnet50": 215, "squeezenet1_1": 50}[name]
    wanted = [tensor for key, tensor in source.state_dict().items() if "num_batches" not in key]
    got = [tensor for key, tensor in model.backbone.state_dict().items() if "num_batches" not in key]
    assert all(torch.equal(one, other) for one, other in zip(got[:taken], wanted[:taken], strict=True))


@pytest.mark.slow
def test_vggs_fully_connected_layers_are_subsampled() -> None:
    model = detector("ssd300-vgg16")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.vgg16().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items() if ".6." not in name}
    filled = fill_backbone_(model, Weights(weights, "vgg16"))
    assert filled.tensors == (30, 46)
    fc6 = weights["classifier.0.weight"].view(4096, 512, 7, 7)
    ours = [module for module in model.backbone.modules() if isinstance(module, nn.Conv2d)]
    first, seventh = ours[0], next(module for module in ours if module.kernel_size == (1, 1))
    sixth = next(module for module in ours if module.dilation == (6, 6))
    assert torch.equal(first.weight, weights["features.0.weight"])
    assert torch.equal(sixth.weight[5, 7, 1, 2], fc6[20, 7, 3, 6])
    assert torch.equal(seventh.weight[3, 2, 0, 0], weights["classifier.3.weight"][12, 8])
    assert torch.equal(seventh.bias, weights["classifier.3.bias"][::4])


def test_weights_that_are_no_numbers_are_left_out() -> None:
    """torchvision's VGG16 for SSD has them in place of the fully connected layers."""
    model = detector("ssd300-vgg16")
    before = model.state_dict()["backbone.extra.0.7.1.weight"].clone()
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.vgg16().state_dict().items()}
    weights = {name: torch.full(s, torch.nan if "class" in name else 0.5) for name, s in shapes.items()}
    assert fill_backbone_(model, Weights(weights, "vgg16")).tensors == (26, 46)
    assert torch.equal(model.state_dict()["backbone.extra.0.7.1.weight"], before)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


@pytest.mark.slow
def test_timms_weights_fit_by_name_and_compute_the_same() -> None:
    model = detector("ssdlite96-efficientnet_lite0")
    source = timm.create_model("efficientnet_lite0").eval()
    filled = fill_backbone_(model, Weights(source.state_dict(), "timm"))
    assert (filled.by, filled.tensors[0]) == ("name", 240)
    with torch.no_grad():
        wanted = source.blocks(source.bn1(source.conv_stem(IMAGES)))
        torch.testing.assert_close(model.backbone.features(IMAGES)[-1], wanted)


def test_a_detector_hands_on_backbone_and_head(tmp_path) -> None:
    taught, pupil = detector("ssd192-tiny", input_size=64), build_model(make_spec("ssd192-tiny", NAMES, input_size=64))
    save_checkpoint(tmp_path / "best.pt", taught)
    filled = fill_backbone_(pupil, read_weights(str(tmp_path / "best.pt")))
    assert filled.tensors[0] == filled.tensors[1]
    for name, tensor in taught.state_dict().items():
        if "num_batches_tracked" not in name:
            assert torch.equal(pupil.state_dict()[name], tensor), name


@pytest.mark.parametrize("preset", ["ssd192-tiny", "ssdlite320-mobilenet-v3-large"])
def test_class_logits_go_to_the_classes_of_the_same_names(tmp_path, preset: str) -> None:
    """A pupil with the classes in another order and one more scores the old ones as its teacher does."""
    options = {"input_size": 64} if preset == "ssd192-tiny" else {}
    taught = detector(preset, **options)
    save_checkpoint(tmp_path / "best.pt", taught)
    torch.manual_seed(9)
    pupil = build_model(make_spec(preset, ("new", "b", "a"), **options)).eval()
    fresh = {name: tensor.clone() for name, tensor in pupil.state_dict().items()}
    filled = fill_backbone_(pupil, read_weights(str(tmp_path / "best.pt")))
    assert filled.classes == ("b", "a")
    images = torch.rand(1, 3, pupil.spec.input.height, pupil.spec.input.width)
    with torch.no_grad():
        wanted, got = taught(images), pupil(images)
    torch.testing.assert_close(got.class_logits[..., [0, 3, 2]], wanted.class_logits)
    torch.testing.assert_close(got.box_offsets, wanted.box_offsets)
    last = next(logit_tensors(pupil))
    columns = pupil.state_dict()[last].reshape(-1, 4, *fresh[last].shape[1:])
    assert torch.equal(columns[:, 1], fresh[last].reshape(columns.shape)[:, 1])


def test_a_detector_without_a_common_class_hands_on_all_but_the_class_logits(tmp_path) -> None:
    taught = detector("ssd192-tiny", input_size=64)
    save_checkpoint(tmp_path / "best.pt", taught)
    torch.manual_seed(9)
    pupil = build_model(make_spec("ssd192-tiny", ("c", "d"), input_size=64))
    assert fill_backbone_(pupil, read_weights(str(tmp_path / "best.pt"))).classes == ()
    held = taught.state_dict()
    changed = {name for name, tensor in pupil.state_dict().items() if not torch.equal(tensor, held[name])}
    assert {name for name in changed if name.endswith("weight")} == {
        name for name in logit_tensors(pupil) if name.endswith("weight")
    }


@pytest.mark.slow
def test_another_network_is_refused_with_its_names() -> None:
    model, before = detector("ssdlite300-mobilenet-v2"), detector("ssdlite300-mobilenet-v2").state_dict()
    with pytest.raises(ArtifactError) as caught:
        fill_backbone_(model, Weights(classifier("resnet18").state_dict(), "resnet18.pth"))
    message = str(caught.value)
    assert message.startswith("resnet18.pth does not match the backbone of mobilenet-v2-lite: got ")
    assert "conv1.weight, bn1.weight, bn1.bias" in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_backbone_that_names_its_parts_otherwise_refuses_foreign_weights_too() -> None:
    model = detector("ssdlite300-mobilenet-v2")
    model.backbone.trunk = model.backbone.features
    del model.backbone.features
    with pytest.raises(ArtifactError, match=r"resnet18\.pth does not match the backbone"):
        fill_backbone_(model, Weights(classifier("resnet18").state_dict(), "resnet18.pth"))
