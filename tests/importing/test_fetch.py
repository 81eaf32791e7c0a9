from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models.detection import SSD300_VGG16_Weights

from ssd_edge.core.errors import InputError
from ssd_edge.importing.fetch import fetch


def test_torchvisions_file_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = SSD300_VGG16_Weights.COCO_V1.url
    cached = tmp_path / "checkpoints" / Path(url).name
    cached.parent.mkdir()
    torch.save({"a": torch.zeros(1)}, cached)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    assert fetch("torchvision:ssd300_vgg16") == cached


def test_without_a_network_the_address_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        InputError,
        match=r"ssd300_vgg16 cannot be downloaded: got .*not known.* Download https://.*b556d3b4\.pth "
        r"on a machine with internet access, then run: ssd-edge import ssd300_vgg16_coco-b556d3b4\.pth",
    ):
        fetch("torchvision:ssd300_vgg16")


@pytest.mark.parametrize("source", ["torchvision:resnet50", "ssd300_vgg16", "https://x/y.pth"])
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(InputError, match=f"--from {source} is not known: wanted torchvision:ssd300_vgg16 or"):
        fetch(source)
