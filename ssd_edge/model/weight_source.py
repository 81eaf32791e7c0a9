"""Weights for a backbone from wherever they are: a file, a URL, or torchvision's and timm's classifiers by name."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

import torch
from torch import Tensor
from torchvision import models
from torchvision.models import list_models

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import path_kind, text_digest
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.checkpoint import CHECKPOINT_FORMAT
from ssd_edge.model.torch_archive import load_archive

_TORCHVISION, _TIMM = "torchvision:", "timm:"
_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
_MOST_WRAPPERS = 8
_WANTED = "a file, a URL, torchvision:<classifier> or timm:<classifier>"


class Weights(NamedTuple):
    """A state dict and where it is from.

    Attributes:
        class_names: what the columns of its class logits stand for, where it is a checkpoint of ours; else none.
        architecture: of the network, where it is a checkpoint of ours; else empty.
    """

    tensors: Mapping[str, Tensor]
    origin: str
    class_names: tuple[str, ...] = ()
    architecture: str = ""


def read_weights(source: str) -> Weights:
    """Return the weights that a source stands for. Nothing in a file is executed.

    What is fetched is kept in PyTorch's cache (``torch.hub.get_dir()``), and used from there the next time.

    Args:
        source: a file (PyTorch or .safetensors), a URL of one, ``torchvision:vgg16``, ``timm:efficientnet_lite0``.

    Raises:
        InputError: there is no such source, or it cannot be read or reached.
        ArtifactError: the file is damaged or holds no state dict.
    """
    if source.startswith(_TORCHVISION):
        return _read(_fetched(_torchvision_url(source.removeprefix(_TORCHVISION))))
    if source.startswith(_TIMM):
        return _of_timm(source.removeprefix(_TIMM))
    address = urlparse(source)
    if address.scheme in ("http", "https"):
        return _read(_fetched(source))
    path = Path(unquote(address.path) if address.scheme == "file" else source)
    if path_kind(path) != "file":
        raise InputError(f"the weights {source!r} do not exist", wanted=_WANTED)
    return _read(path)


def _torchvision_url(name: str) -> str:
    if name not in list_models(module=models):
        raise InputError(
            f"torchvision has no classifier {name!r}", wanted="one such as vgg16, mobilenet_v2 or resnet50"
        )
    known = models.get_model_weights(name)
    # SSD's VGG takes colors of 0..255 less the mean; torchvision has weights for those too.
    chosen = getattr(known, "IMAGENET1K_FEATURES", known.DEFAULT)
    url: str = chosen.url
    return url


def _fetched(url: str) -> Path:
    """Return the file behind a URL, from PyTorch's cache or the network; names such as x-1a2b3c4d.pth hold digests.

    Under a name without a digest, such as best.pt, each URL has a file of its own.
    """
    name = Path(urlparse(url).path).name
    cached, digest = _cached(url), torch.hub.HASH_REGEX.search(name)
    if cached.is_file():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(cached), digest.group(1) if digest else None, progress=False)
    except (OSError, HTTPException, RuntimeError, ValueError) as error:  # RuntimeError: the digest is another
        raise InputError(
            f"{url} cannot be downloaded",
            got=str(error),
            do=f"Download it on a machine with internet access, then use --backbone {name}.",
        ) from error
    return cached


def _cached(url: str) -> Path:
    """Return where a URL's file lies in PyTorch's cache, once it has been fetched."""
    name = Path(urlparse(url).path).name
    if not name:
        raise InputError(f"{url} does not name a file", wanted=_WANTED)
    own = name if torch.hub.HASH_REGEX.search(name) else f"{text_digest(url).removeprefix('sha256:')[:8]}-{name}"
    return Path(torch.hub.get_dir()) / "checkpoints" / own


class WeightFile(NamedTuple):
    """A file of torchvision's weights.

    Attributes:
        url: where it is fetched from.
        cached: where it lies once that was done.
        digest: the first digits of its SHA-256, which its name holds.
    """

    url: str
    cached: Path
    digest: str


def torchvision_file(name: str) -> WeightFile:
    """Return the file of a classifier's weights; nothing is fetched.

    Raises:
        InputError: torchvision has no such classifier.
    """
    url = _torchvision_url(name)
    found = torch.hub.HASH_REGEX.search(Path(urlparse(url).path).name)
    return WeightFile(url, _cached(url), found.group(1) if found else "")


def _of_timm(name: str) -> Weights:
    from ssd_edge.model.backbones.timm_backbone import pretrained

    return Weights(pretrained(name), f"timm's {name}")


def _read(path: Path) -> Weights:
    content = read_safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    tensors = _state_dict(content)
    if not tensors:
        raise ArtifactError(f"{path} contains no weights", got=type(content).__name__, wanted="a state dict")
    if isinstance(content, Mapping) and content.get("format") == CHECKPOINT_FORMAT:
        spec = ModelSpec.from_json(str(content.get("spec")), origin=str(path))
        return Weights(tensors, str(path), spec.class_names, spec.architecture)
    return Weights(tensors, str(path))


def _pickled(path: Path) -> Any:
    def refusal(text: str) -> ArtifactError:
        reason = text.splitlines()[0]
        return ArtifactError(f"{path} is not a file of weights", got=reason, wanted="a state dict, without code")

    return load_archive(path, refusal, wanted="weights")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file by name.

    Raises:
        InputError: it cannot be read, or safetensors is not installed.
        ArtifactError: it is damaged.
    """
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(
            f"{path} needs safetensors", got=str(error), do="Install it: pip install safetensors"
        ) from error
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    except Exception as error:
        raise ArtifactError(f"{path} is damaged", got=str(error), wanted="a safetensors file") from error
    return tensors


def _state_dict(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or of what a training script wrapped around one."""
    for _ in range(_MOST_WRAPPERS):  # a hostile one may wrap itself
        if not isinstance(content, Mapping):
            return {}
        inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
