from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch

from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import build_model, make_spec, preset_with

CLASSES = ("car", "bus")


def test_without_timm_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        MissingPackageError,
        match=r"resnet18 is not a backbone of ssd-edge, and timm, .*pip install 'ssd-edge\[timm\]'",
    ):
        make_spec("ssd300-resnet18", CLASSES)


@pytest.mark.parametrize("side", [95, 1281])
def test_a_size_out_of_range_is_refused(side: int) -> None:
    with pytest.raises(InputError, match=f"out of range: got {side}; wanted 96 to 1280"):
        make_spec(f"ssd{side}-resnet18", CLASSES)


class TestWithTimm:
    @pytest.fixture(autouse=True)
    def _timm(self) -> None:
        pytest.importorskip("timm")

    @pytest.mark.parametrize(
        ("preset", "cells", "per_cell"),
        [
            ("ssdlite320-mobilenetv4_conv_small", [20, 10, 5, 3, 2, 1], [6, 6, 6, 6, 6, 6]),
            ("ssd300-resnet18", [38, 19, 10, 5, 3, 2, 1], [4, 6, 6, 6, 6, 4, 4]),
            ("ssdlite320-mobilenetv4_conv_small-stride8", [40, 20, 10, 5, 3, 2, 1], [4, 6, 6, 6, 6, 4, 4]),
        ],
    )
    def test_default_boxes_lie_on_the_maps(self, preset: str, cells: list[int], per_cell: list[int]) -> None:
        spec = make_spec(preset, CLASSES)
        assert [level.rows for level in spec.anchors.levels] == cells
        assert [len(level.sizes) for level in spec.anchors.levels] == per_cell
        assert spec.input.mean == pytest.approx((123.675, 116.28, 103.53))
        sides = [level.sizes[0][0] for level in spec.anchors.levels]
        assert sides == sorted(sides)
        assert (sides[0], sides[-1]) == pytest.approx((0.2, 0.95) if cells[0] == 20 else (0.1, 0.9))

    def test_a_fine_preset_has_the_maps_of_a_plain_ssd_and_learns_with_all_its_weights(self) -> None:
        torch.manual_seed(0)
        model = build_model(make_spec("ssdlite96-mobilenetv3_small_050-stride8", CLASSES))
        images = torch.randn(2, 3, 96, 96)
        plain = build_model(make_spec("ssd96-mobilenetv3_small_050", CLASSES)).backbone(images)
        maps = model.backbone(images)
        assert [one.shape for one in maps] == [one.shape for one in plain]
        assert maps[0].shape[2:] == (12, 12)
        outputs = model(images)
        (outputs.class_logits.square().mean() + outputs.box_offsets.square().mean()).backward()
        assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
        assert float(outputs.class_logits.detach().std()) < 0.5, "the heads begin near 0"

    @pytest.mark.parametrize("preset", ["ssd96-efficientnet_lite0", "ssdlite96-efficientnet_lite0-stride8"])
    def test_the_heads_begin_near_0_on_features_of_any_size(self, preset: str) -> None:
        torch.manual_seed(0)
        model = build_model(make_spec(preset, CLASSES)).eval()
        maps = [10 * torch.randn_like(one) for one in model.backbone(torch.randn(1, 3, 96, 96))]
        with torch.no_grad():
            assert float(model.head(maps).class_logits.std()) < 3.0

    def test_only_an_ssdlite_is_fine_by_name(self) -> None:
        with pytest.raises(
            InputError, match="no preset 'ssd96-resnet18-stride8'.*ssd96-resnet18 has a first map of stride 8"
        ):
            make_spec("ssd96-resnet18-stride8", CLASSES)

    @pytest.mark.parametrize("ending", ["", "-stride8"])
    def test_its_weights_travel(self, ending: str) -> None:
        torch.manual_seed(0)
        spec = make_spec(f"ssdlite96-mobilenetv4_conv_small_035{ending}", CLASSES)
        assert preset_with(spec.architecture) == f"ssdlite320-mobilenetv4_conv_small_035{ending}"
        model = build_model(spec).eval()
        again = with_weights(spec, model.state_dict(), origin="here")
        images = torch.randn(1, 3, 96, 96)
        with torch.no_grad():
            assert torch.equal(model(images).class_logits, again(images).class_logits)
            assert float(model(images).class_logits.std()) > 0

    @pytest.mark.parametrize(
        ("preset", "message"),
        [
            ("ssd300-resnet19", "has this backbone: got 'resnet19'; wanted one like resnet18"),
            ("ssd300-zzzz", "got 'zzzz'; wanted one of timm"),
            ("ssd300-vit_tiny_patch16_224", "got maps at strides 16, 16, 16; wanted maps from stride 8 on. Choose"),
            ("ssdlite224-swin_tiny_patch4_window7_224", r"constants that are not in its weights \(.*position_index\)"),
        ],
    )
    def test_what_is_no_backbone_is_refused(self, preset: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            make_spec(preset, CLASSES)

    @pytest.mark.parametrize(
        ("error", "got"), [(AssertionError(), "AssertionError"), (RuntimeError("no maps\nmore"), "no maps; ")]
    )
    def test_a_network_that_gives_no_maps_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, got: str
    ) -> None:
        import timm

        def fail(*_: object, **__: object) -> None:
            raise error

        with monkeypatch.context() as patch, pytest.raises(InputError, match=f"cannot be the backbone.*got {got}"):
            patch.setattr(timm, "create_model", fail)
            make_spec("ssd300-resnet18", CLASSES)
        monkeypatch.setattr(timm.models.ResNet, "forward", fail)
        monkeypatch.setattr(timm.models.FeatureListNet, "forward", fail)
        with pytest.raises(InputError, match=f"resnet18 cannot .*got {got}.*an input of 300 x 300 pixels"):
            make_spec("ssd300-resnet18", CLASSES)

    @pytest.mark.parametrize("turned", [lambda last: last.permute(0, 2, 3, 1), lambda last: last.flatten(2)])
    def test_maps_without_their_channels_second_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, turned: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        import timm

        whole = timm.models.FeatureListNet.forward
        monkeypatch.setattr(
            timm.models.FeatureListNet, "forward", lambda self, images: [turned(last) for last in whole(self, images)]
        )
        with pytest.raises(InputError, match=r"got a feature map of shape \(1, .*wanted .* \(1, 512, rows, cols\)"):
            make_spec("ssd300-resnet18", CLASSES)

    def test_its_own_weights_are_taken_or_what_to_do_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import timm

        from ssd_edge.model.weight_source import read_weights

        source, asked = timm.create_model("resnet18", pretrained=False), []

        def create(name: str, *, pretrained: bool) -> torch.nn.Module:
            asked.append((name, pretrained))
            return source

        monkeypatch.setattr(timm, "create_model", create)
        weights = read_weights("timm:resnet18")
        assert (asked, weights.origin) == ([("resnet18", True)], "timm's resnet18")
        assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in weights.tensors.items())
        assert len(weights.tensors) == len(source.state_dict())

        def offline(name: str, *, pretrained: bool) -> torch.nn.Module:
            raise OSError("cannot reach the hub\nTraceback …")

        monkeypatch.setattr(timm, "create_model", offline)
        with pytest.raises(
            InputError,
            match=r"weights for resnet18 cannot be downloaded: got cannot reach the hub; .*"
            "--backbone FILE",
        ):
            read_weights("timm:resnet18")
