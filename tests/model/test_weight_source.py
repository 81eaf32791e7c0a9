from __future__ import annotations

import functools
import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.model.weight_source import read_safetensors, read_weights

TENSORS = {"conv.weight": torch.ones(2, 2)}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hub" / "checkpoints"


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_file_holds_a_state_dict_or_what_is_wrapped_around_one(tmp_path: Path, wrapper: str | None) -> None:
    path = tmp_path / "weights.pth"
    torch.save({wrapper: TENSORS, "epoch": 3} if wrapper else TENSORS, path)
    weights = read_weights(str(path))
    assert list(weights.tensors) == ["conv.weight"]
    assert weights.origin == str(path)


def test_safetensors_are_read(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(TENSORS, tmp_path / "weights.safetensors")
    assert torch.equal(read_weights(str(tmp_path / "weights.safetensors")).tensors["conv.weight"], torch.ones(2, 2))
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors is damaged"):
        read_weights(str(tmp_path / "weights.safetensors"))


def test_a_url_is_fetched_once(tmp_path: Path, server: str, cache: Path) -> None:
    torch.save(TENSORS, tmp_path / "served" / "weights.pth")
    assert list(read_weights(f"{server}/weights.pth").tensors) == ["conv.weight"]
    (tmp_path / "served" / "weights.pth").unlink()
    assert list(read_weights(f"{server}/weights.pth").tensors) == ["conv.weight"]
    (kept,) = cache.iterdir()
    assert kept.name.endswith("-weights.pth")


def test_urls_that_end_alike_are_not_mixed_up(tmp_path: Path, server: str) -> None:
    for number, folder in enumerate(("one", "two")):
        (tmp_path / "served" / folder).mkdir()
        torch.save({"conv.weight": torch.full((2, 2), float(number))}, tmp_path / "served" / folder / "best.pt")
    assert read_weights(f"{server}/one/best.pt").tensors["conv.weight"].sum() == 0
    assert read_weights(f"{server}/two/best.pt").tensors["conv.weight"].sum() == 4


def test_a_file_url_is_read_anew_each_time(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "my weights.pth"
    for value in (0.0, 1.0):
        torch.save({"conv.weight": torch.full((2, 2), value)}, path)
        assert read_weights(path.as_uri()).tensors["conv.weight"].sum() == 4 * value
    assert not cache.exists()


def test_a_url_without_a_file_is_refused(server: str) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:\d+/ does not name a file"):
        read_weights(f"{server}/")


def test_a_digest_in_the_name_is_checked(tmp_path: Path, server: str, cache: Path) -> None:
    torch.save(TENSORS, tmp_path / "served" / "raw")
    content = (tmp_path / "served" / "raw").read_bytes()
    good = f"w-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    for name in (good, "w-00000000.pth"):
        (tmp_path / "served" / name).write_bytes(content)
    assert read_weights(f"{server}/{good}").tensors
    with pytest.raises(InputError, match=r"w-00000000\.pth cannot be downloaded: got invalid hash value"):
        read_weights(f"{server}/w-00000000.pth")
    assert [path.name for path in cache.iterdir()] == [good]


def test_what_cannot_be_fetched_is_named_with_a_way_out(server: str) -> None:
    with pytest.raises(InputError, match=r"gone\.pth cannot be downloaded: got HTTP Error 404") as caught:
        read_weights(f"{server}/gone.pth")
    assert "--backbone gone.pth" in str(caught.value)


def test_torchvisions_weights_are_found_by_name(cache: Path) -> None:
    cache.mkdir(parents=True)
    torch.save(TENSORS, cache / "vgg16_features-amdegroot-88682ab5.pth")  # those for SSD's colors, not the classifier's
    assert list(read_weights("torchvision:vgg16").tensors) == ["conv.weight"]
    with pytest.raises(InputError, match="torchvision has no classifier 'vgg61'"):
        read_weights("torchvision:vgg61")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "is not a file of weights"),
        (b"", "is not a file of weights"),
        ([1, 2], "contains no weights: got list"),
        ({"epoch": 3}, "contains no weights: got dict"),
    ],
)
def test_what_holds_no_weights_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ArtifactError, match=message):
        read_weights(str(path))


def test_a_source_that_is_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="the weights 'imagenet' do not exist: wanted a file, a URL, torch"):
        read_weights("imagenet")
    with pytest.raises(InputError, match="neither ssd-edge nor timm has this backbone: got 'no_such_net'"):
        read_weights("timm:no_such_net")


def test_safetensors_that_cannot_be_read_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors.torch")
    with pytest.raises(InputError, match=r"none\.safetensors cannot be read .No such file"):
        read_safetensors(tmp_path / "none.safetensors")
    (tmp_path / "weights.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(InputError, match=r"weights\.safetensors needs safetensors: .*pip install safetensors"):
        read_weights(str(tmp_path / "weights.safetensors"))
