"""Boxes to offsets and back, relative to anchors (SSD, section 2.2, equation 2, with variances)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ssd_edge.core.spec import BoxCoding


def encode(boxes: Tensor, anchors: Tensor, coding: BoxCoding) -> Tensor:
    """Return the (…, 4) offsets dx dy dw dh that lead from ``anchors`` to ``boxes``, both (…, 4) cx cy w h.

    dx = (cx - cx_a) / w_a / vx; dw = ln(w / w_a) / vw. Widths and heights must be positive.
    """
    variances = boxes.new_tensor(coding.variances)
    centers = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    scales = torch.log(boxes[..., 2:] / anchors[..., 2:])
    return torch.cat([centers, scales], dim=-1) / variances


def decode(offsets: Tensor, anchors: Tensor, coding: BoxCoding) -> Tensor:
    """Return (…, A, 4) boxes x1 y1 x2 y2 from (…, A, 4) offsets and (A, 4) anchors cx cy w h.

    The logarithm of the scale is cut off at ``coding.max_log_scale``, so that no exponential overflows.
    """
    vx, vy, vw, vh = coding.variances
    centers = anchors[:, :2] + offsets[..., :2] * (anchors[:, 2:] * anchors.new_tensor([vx, vy]))
    log_scales = offsets[..., 2:] * anchors.new_tensor([vw, vh])
    if math.isfinite(coding.max_log_scale):
        log_scales = log_scales.clamp(max=coding.max_log_scale)
    half_sides = torch.exp(log_scales) * (anchors[:, 2:] / 2)
    return torch.cat([centers - half_sides, centers + half_sides], dim=-1)
