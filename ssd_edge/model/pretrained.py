"""A backbone that begins with what another network has trained, most often a classifier on ImageNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weight_source import Weights

_LEAST_SHARE = 0.5
_CLASSIFIER = ("backbone.features.", "backbone.stem.", "backbone.levels.")
_COUNTER = "num_batches_tracked"
_FC6, _FC7 = "classifier.0", "classifier.3"  # of torchvision's VGG
_PREFIXES = ("", "module.", "backbone.", "features.", "model.", "body.", "encoder.")


def logit_tensors(model: SSD) -> Iterator[str]:
    """Name the weights and biases whose first axis is (anchors of a cell) x (background and classes)."""
    head = model.head.classification_head
    for level, predictor in enumerate(head.module_list):
        last = [name for name, module in predictor.named_modules() if isinstance(module, nn.Conv2d)][-1]
        path = ".".join(part for part in ("head.classification_head.module_list", str(level), last) if part)
        yield from (f"{path}.weight", f"{path}.bias")


def rows_by_class(own: Tensor, found: Tensor, names: Sequence[str], known: Sequence[str]) -> Tensor | None:
    """Return ``own`` with the rows of background and of each class that both know taken from ``found``.

    Args:
        own: (A * (len(names) + 1), …); rows are anchor-major, background first.
        found: (A * (len(known) + 1), …).
        names: classes of ``own``, without background.
        known: classes of ``found``.

    Returns:
        None where no class is common, or where the shapes are of another head.
    """
    common = [name for name in names if name in known]
    anchors, rest = divmod(len(own), len(names) + 1)
    if not common or rest or found.shape != (anchors * (len(known) + 1), *own.shape[1:]):
        return None
    rows = own.reshape(anchors, len(names) + 1, *own.shape[1:]).clone()
    taken = found.reshape(anchors, len(known) + 1, *own.shape[1:])
    rows[:, [0, *(names.index(name) + 1 for name in common)]] = taken[
        :, [0, *(known.index(name) + 1 for name in common)]
    ]
    return rows.reshape(own.shape)


class Filled(NamedTuple):
    """Weights that were loaded.

    Attributes:
        origin: whose weights.
        tensors: how many of the backbone's convolutions and batch norms were filled, and how many it has.
        others: how many other tensors, the head's most of all, were filled (from a detector).
        by: ``name``, or ``order`` where the names are others but the shapes, one after the other, are the same.
        classes: those whose logits were taken over from a checkpoint of ours, by their names.
    """

    origin: str
    tensors: tuple[int, int]
    others: int
    by: str
    classes: tuple[str, ...] = ()


def fill_backbone_(model: SSD, weights: Weights) -> Filled:
    """Fill the model's backbone, in place, as far as the weights fit; what does not fit stays as it is.

    Tensors are matched by name. Where that does not find all, both networks' convolutions and batch norms are also
    compared in the order in which they were registered, and those before the first that differs in shape are taken, if
    they are more: the same classifier has other names in every collection. Tensors that are not finite are left out.
    The paper's fc6 and fc7 (SSD, section 2.1) come from VGG's fully connected layers by subsampling. A detector's head
    is taken over where its shapes fit; its class logits go to the classes of the same names, where the names are known.

    Raises:
        ArtifactError: less than half of the classifier's part of the backbone fits.
    """
    own = model.state_dict()
    layers = {name: own[name] for name in _layer_tensors(model.backbone)}
    needed = _LEAST_SHARE * _of_the_classifier(layers)
    found = {**weights.tensors, **_subsampled_fc(weights.tensors)}
    named, ordered = _by_name(layers, found), _by_order(layers, found)
    chosen, by = (named, "name") if len(named) >= len(ordered) else (ordered, "order")
    if len(chosen) < needed:
        raise _misfit(model, weights, len(chosen), needed)
    logits = set(logit_tensors(model)) if weights.class_names else set()
    rest = own.keys() - layers.keys() - logits
    others = {name: found[name] for name in rest if _fits(own[name], found.get(name))}
    others |= (by_class := _by_class(model, own, weights, logits))
    with torch.no_grad():
        for name, tensor in {**chosen, **others}.items():
            own[name].copy_(tensor)
    known = tuple(name for name in model.spec.class_names if by_class and name in weights.class_names)
    return Filled(weights.origin, (len(chosen), len(layers)), len(others), by, known)


def fitting_share(model: SSD, weights: Weights) -> float:
    """Return which share of the classifier's part of a backbone the weights fit, as :func:`fill_backbone_` matches.

    It may be above 1, where a detector's layers fit too. The model may be without weights, on the ``meta`` device.
    """
    own = model.state_dict()
    layers = {name: own[name] for name in _layer_tensors(model.backbone)}
    needed = _of_the_classifier(layers)
    found = {**weights.tensors, **_subsampled_fc(weights.tensors)}
    named, ordered = _by_name(layers, found), _by_order(layers, found)
    return max(len(named), len(ordered)) / max(needed, 1)


def _of_the_classifier(layers: Mapping[str, Tensor]) -> int:
    """Count the tensors that a classifier's file can have; all, where the backbone names none of its parts as usual."""
    return sum(name.startswith(_CLASSIFIER) for name in layers) or len(layers)


def _by_class(model: SSD, own: Mapping[str, Tensor], weights: Weights, logits: set[str]) -> dict[str, Tensor]:
    """Return the tensors of the class logits, with the rows of the classes that both networks know."""
    names, known = model.spec.class_names, weights.class_names
    found = {name: tensor for name in logits if (tensor := weights.tensors.get(name)) is not None}
    moved = {name: rows_by_class(own[name], tensor, names, known) for name, tensor in found.items()}
    return {name: rows for name, rows in moved.items() if rows is not None and _fits(own[name], rows)}


def _layer_tensors(backbone: nn.Module) -> Iterator[str]:
    """Name the weights and statistics of all convolutions and batch norms, in the order in which they are used."""
    for name, module in backbone.named_modules(prefix="backbone"):
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            for key in module.state_dict():
                if "." not in key and key != _COUNTER:
                    yield f"{name}.{key}"


def _by_name(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names fit, for the beginning of the names that fits best."""
    best: dict[str, Tensor] = {}
    for cut in ("", "backbone.", "backbone.features."):
        for prefix in _PREFIXES:
            names = {name: prefix + name.removeprefix(cut) for name in wanted}
            matched = {name: found[other] for name, other in names.items() if _fits(wanted[name], found.get(other))}
            best = max(best, matched, key=len)
    return best


def _by_order(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    others = [tensor for name, tensor in found.items() if not name.endswith(_COUNTER)]
    pairs = zip(wanted.items(), others, strict=False)
    return {name: other for (name, _), other in takewhile(lambda pair: _fits(pair[0][1], pair[1]), pairs)}


def _fits(wanted: Tensor, found: Tensor | None) -> bool:
    if found is None or found.shape != wanted.shape or found.is_floating_point() != wanted.is_floating_point():
        return False
    return bool(torch.isfinite(found).all())


def _subsampled_fc(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn VGG's fc6 and fc7 into dilated convolutions: every fourth output, every third position (section 2.1)."""
    fc6, fc7 = found.get(f"{_FC6}.weight"), found.get(f"{_FC7}.weight")
    if fc6 is None or fc7 is None or fc6.shape != (4096, 512 * 7 * 7) or fc7.shape != (4096, 4096):
        return {}
    return {
        f"{_FC6}.weight": fc6.view(4096, 512, 7, 7)[::4, :, ::3, ::3],
        f"{_FC6}.bias": found[f"{_FC6}.bias"][::4],
        f"{_FC7}.weight": fc7.view(4096, 4096, 1, 1)[::4, ::4],
        f"{_FC7}.bias": found[f"{_FC7}.bias"][::4],
    }


def _misfit(model: SSD, weights: Weights, fitting: int, needed: float) -> ArtifactError:
    names = ", ".join(list(weights.tensors)[:3])
    return ArtifactError(
        f"{weights.origin} does not match the backbone of {model.spec.architecture}",
        got=f"{fitting} matching tensors, among {names}, …",
        wanted=f"at least {needed:.0f} matching tensors",
        do="Use weights of this backbone, or train without --backbone.",
    )
