"""Random weights that see something: as much work, from pixels to boxes, as those of a trained detector.

With plain random weights the activations of a deep network vanish: either nothing scores above the threshold, and NMS
has nothing to do, or everything does, and it has more to do than with any trained detector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.architectures import build_model
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD

CANDIDATES = 800
"""Pairs of box and class that score above the model's threshold in an image, in the mean."""

_LOGIT_SPREAD, _OFFSET_SPREAD = 2.0, 1.0
_STEPS = 40  # of halving the range of the background's bias
_WIDEST_BIAS = 64.0


def scaled_random(spec: ModelSpec, images: Sequence[UInt8Array], *, candidates: int = CANDIDATES, seed: int = 0) -> SSD:
    """Return the network of a spec with random weights for which an image has so many candidates for NMS.

    The statistics of batch norms are those of the images, predictors are scaled to spread scores and offsets on them,
    and the bias of the background is set for the number of candidates.

    Args:
        spec: of the network.
        images: (H, W, 3) BGR of any size, two at least where a batch norm sees a map of 1 x 1.
        candidates: pairs of box and class above ``spec.nms.score_threshold`` in an image, in the mean.
        seed: the same gives the same weights. PyTorch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = build_model(spec)
        _fill(model)
        pixels = np.stack([preprocess(image, spec.input) for image in images])
        batch = DecodedSSD(model).normalized(torch.from_numpy(pixels))
        _calibrate(model, batch)
        _set_background(model.eval(), batch, candidates)
    return model


def _fill(model: SSD) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            # Mostly on the straight part of the activations: around 0 each layer amplifies what differs.
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 1.0)


def _calibrate(model: SSD, batch: Tensor) -> None:
    """Give batch norms the statistics of the batch, and scale each predictor's output on it."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean of all that follows: of this batch
    features = model.train().backbone(batch)
    heads = ((model.head.classification_head, _LOGIT_SPREAD), (model.head.regression_head, _OFFSET_SPREAD))
    for head, spread in heads:
        for predictor, level in zip(head.module_list, features, strict=True):
            _last(predictor).weight.mul_(spread / predictor(level).std())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _last(predictor: nn.Module) -> nn.Conv2d:
    """Return the convolution that gives the values of a predictor."""
    found = predictor if isinstance(predictor, nn.Conv2d) else list(predictor.children())[-1]
    if not isinstance(found, nn.Conv2d):
        raise TypeError(f"this is a bug in the network: a predictor ends with {type(found).__name__}, not Conv2d")
    return found


def _set_background(model: SSD, batch: Tensor, candidates: int) -> None:
    """Raise or lower the background until so many scores of an image lie above the threshold."""
    logits, _ = model(batch)
    low, high = -_WIDEST_BIAS, _WIDEST_BIAS
    for _ in range(_STEPS):
        bias = (low + high) / 2
        count = _above(logits, bias, model.spec.nms.score_threshold) / len(batch)
        low, high = (bias, high) if count > candidates else (low, bias)
    for predictor in model.head.classification_head.module_list:
        convolution = _last(predictor)
        if convolution.bias is None:
            raise TypeError("this is a bug in the network: the last convolution of a predictor has no bias")
        convolution.bias[:: model.spec.num_logits] += (low + high) / 2


def _above(logits: Tensor, bias: float, threshold: float) -> int:
    raised = logits.clone()
    raised[..., 0] += bias
    return int((raised.softmax(dim=-1)[..., 1:] > threshold).sum())
