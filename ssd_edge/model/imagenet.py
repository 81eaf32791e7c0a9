"""ImageNet weights for a backbone that none were named for: from PyTorch's cache, else by one download."""

from __future__ import annotations

import threading
import urllib.request
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from http.client import HTTPException
from typing import NamedTuple

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.model.weight_source import WeightFile, read_weights, torchvision_file

PATIENCE_S = 5.0
"""Seconds that a server may take to answer before a run begins with random weights."""

_CLASSIFIERS = {
    "mobilenet-v3-large-lite-reduced": "mobilenet_v3_large",
    "mobilenet-v3-large-lite": "mobilenet_v3_large",
    "mobilenet-v3-large-lite-reduced-stride8": "mobilenet_v3_large",
    "mobilenet-v2-lite": "mobilenet_v2",
    "mobilenet-v2-lite-narrow": "mobilenet_v2",
    "resnet50": "resnet50",
    "squeezenet-lite": "squeezenet1_1",
    "vgg16": "vgg16",
    "vgg16-512": "vgg16",
}


class ChosenWeights(NamedTuple):
    """The weights that a backbone begins with.

    Attributes:
        source: as ``read_weights`` takes it; None for random weights.
        why: a sentence about where they are from, or why they are random.
    """

    source: str | None
    why: str


def imagenet_weights(architecture: str, *, offline: bool = False) -> ChosenWeights:
    """Return ImageNet weights for a backbone, fetched into PyTorch's cache where they are not there; never an error.

    What is fetched, how large it is and which digest it must have is logged first. Without an answer within
    ``PATIENCE_S`` the weights are random.

    Args:
        architecture: of the network.
        offline: do not ask for what is not in the cache.
    """
    name = _CLASSIFIERS.get(architecture)
    if name is None:
        return ChosenWeights(None, f"random weights: torchvision has no classifier with the backbone of {architecture}")
    source, file = f"torchvision:{name}", torchvision_file(name)
    if file.cached.is_file():
        return ChosenWeights(source, f"ImageNet weights of {source}, from {file.cached}")
    by_hand = f"; to have them, fetch {file.url} into {file.cached.parent}"
    if offline:
        return ChosenWeights(None, f"random weights: {source} is not in PyTorch's cache, and this is offline{by_hand}")
    try:
        size = _size_in_time(file)
        log.info(f"downloading {file.url}: {size / 1e6:.1f} MB, SHA-256 {file.digest}…, into {file.cached.parent}")
        read_weights(source)
    except (OSError, HTTPException, ValueError, NotInTime, SsdEdgeError) as error:
        reason = f"no answer within {PATIENCE_S:g} s" if isinstance(error, NotInTime) else str(error).rstrip(".")
        return ChosenWeights(None, f"random weights: {file.url} cannot be fetched ({reason}){by_hand}")
    return ChosenWeights(source, f"ImageNet weights of {source}, fetched from {file.url}")


def _size_in_time(file: WeightFile) -> int:
    """Ask for the file's size; a name server that does not answer is not waited for either."""
    answer: Future[int] = Future()

    def ask() -> None:
        try:
            request = urllib.request.Request(file.url, method="HEAD")  # noqa: S310 - an https address of our own table, and a digest
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:  # noqa: S310 - the same
                answer.set_result(int(response.headers["Content-Length"] or 0))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)

    threading.Thread(target=ask, name="ssd-edge-weights", daemon=True).start()
    return answer.result(timeout=PATIENCE_S)
