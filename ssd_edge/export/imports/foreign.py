"""What weights that are of no known SSD look like, so that the refusal names what the user holds."""

from __future__ import annotations

import re

from ssd_edge.export.imports.family import StateDict

_SIGNS = (
    (r"(^|\.)rpn\.", "a Faster or Mask R-CNN (it has a region proposal network)"),
    (r"^head\.classification_head\.(conv|cls_logits)", "a RetinaNet or FCOS of torchvision"),
    (r"^(model\.)+\d+\.(cv\d|conv|m)\.", "a YOLO"),
    (r"^module_list\.\d+\.", "a YOLO (darknet layers)"),
    (r"^transformer\.", "a DETR"),
    (r"^(base_net|classification_headers)\.", "an unknown variant of pytorch-ssd"),
    (r"^box_head\.predictor\.(cls|reg)_headers\.", "an unknown variant of lufficc/SSD"),
    (r"^(vgg|loc|conf)\.\d+\.", "an unknown variant of ssd.pytorch"),
    (r"^bbox_head\.", "a detector of mmdetection"),
    (r"^(fc|classifier(\.\d+)?|head(\.fc)?|last_linear)\.weight$", "an image classifier"),
)


def looks_like(tensors: StateDict) -> str:
    """Return what the names of the tensors tell, e.g. ``an image classifier (conv1.weight, …, fc.weight)``."""
    names = list(tensors)
    shown = f"{names[0]}, …, {names[-1]}" if len(names) > 1 else names[0]
    for pattern, kind in _SIGNS:
        if any(re.search(pattern, name) for name in names):
            return f"{kind} ({shown})"
    return f"{len(names)} tensors ({shown})"
