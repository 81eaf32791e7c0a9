"""torchvision's official weights, fetched by its own API, which also checks their digest."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path

import torch
from torchvision.models import get_model_weights

from ssd_edge.core.errors import InputError
from ssd_edge.core.shell import quoted

NETWORKS = ("ssd300_vgg16", "ssdlite320_mobilenet_v3_large")
_PREFIX = "torchvision:"


def fetch(source: str) -> Path:
    """Return the file of weights that ``torchvision:<network>`` stands for, from PyTorch's cache or the network.

    Raises:
        InputError: no such source, or it cannot be reached and is not in the cache.
    """
    network = source.removeprefix(_PREFIX)
    if not source.startswith(_PREFIX) or network not in NETWORKS:
        wanted = " or ".join(f"{_PREFIX}{name}" for name in NETWORKS)
        raise InputError(f"--from {source} is not known", wanted=wanted)
    weights = get_model_weights(network).DEFAULT
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException) as error:  # urllib's URLError is an OSError
        raise InputError(
            f"torchvision's {network} cannot be downloaded",
            got=str(error),
            do=f"Download {weights.url} on a machine with internet access, then run: ssd-edge import "
            f"{quoted(cached.name)}",
        ) from error
    return cached
