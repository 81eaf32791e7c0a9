"""Scales of int8 weights, one for each output channel, also for kernels whose sums saturate.

x86 without VNNI multiplies by VPMADDUBSW: two products of an unsigned activation and a signed weight are added in 16
bits and saturate. No sum can saturate where the weights of a pair, of one sign, add up to 128 at most (255 * 128 <
2**15). The kernels of ONNX Runtime and of OpenVINO pair the input channels 0 and 1, 2 and 3, and so on, at one place of
the filter. Two large weights seldom meet there: this costs 0.4 bits on average, and 7 bits for all weights
(``reduce_range``) cost one. Depthwise kernels multiply in 32 bits.
"""

from __future__ import annotations

import numpy as np

from ssd_edge.graph.editor import Array

_LIMIT = 127
"""Largest magnitude of a weight, and of a pair before both are rounded."""


def weight_scale(weight: Array, *, groups: int = 1, transposed: bool = False, saturates: bool = False) -> Array:
    """Return (O,) float32: what a stored weight is multiplied by; 1 for a channel that is all zero, or as good as that.

    Args:
        weight: (O, I, ...) of a convolution, I the input channels of a group.
        groups: of the convolution's channels.
        transposed: the kernels of transposed convolutions add in an order of their own.
        saturates: sums of two products have 16 bits; no pair of weights exceeds them then.
    """
    is_depthwise = 1 < groups == len(weight) and weight.shape[1] == 1 and not transposed
    largest = (
        _largest_pair(weight, any_two=transposed or weight.shape[1] % 2 == 1)
        if saturates and not is_depthwise
        else np.abs(_flat(weight)).max(axis=1)
    )
    scale = largest / _LIMIT
    return np.where(scale >= np.finfo(np.float32).tiny, scale, 1).astype(np.float32)


def stored_weights(weight: Array, scale: Array) -> Array:
    """Return the int8 weights for scales that are broadcast along the weight."""
    return np.clip(np.rint(weight / scale), -_LIMIT, _LIMIT).astype(np.int8)


def _largest_pair(weight: Array, *, any_two: bool) -> Array:
    """Return (O,): the largest sum of two weights of one sign that a kernel adds.

    Of an odd number of channels the last one is added to the first one of the next place: any two weights may meet.
    """
    of_one_sign = [np.maximum(weight, 0), np.maximum(-weight, 0)]
    if any_two:
        sums = [np.sort(_flat(part), axis=1)[:, -2:].sum(axis=1) for part in of_one_sign]
    else:
        sums = [_flat(part[:, 0::2] + part[:, 1::2]).max(axis=1) for part in of_one_sign]
    return np.asarray(np.maximum(*sums))


def _flat(weight: Array) -> Array:
    return weight.reshape(len(weight), -1)
