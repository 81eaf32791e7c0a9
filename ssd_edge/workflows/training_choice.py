"""The network that suits a data set where none is asked for: preset, input size, anchors and length of a run."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.names import is_file_name
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.spec import ModelSpec
from ssd_edge.data.anchor_recall import unit_boxes
from ssd_edge.data.image_size import image_size
from ssd_edge.data.priors import fit_priors
from ssd_edge.model.architectures import network
from ssd_edge.model.pretrained import fitting_share
from ssd_edge.model.weight_source import Weights, read_weights
from ssd_edge.model.zoo import FINE, find_preset, make_spec, preset_names, preset_with
from ssd_edge.training.norm_statistics import MOST_VIEWS
from ssd_edge.training.recipe import Recipe, recipe_for, recipe_for_few

Sizes = Mapping[Path, tuple[int, int]]

DEFAULT_PRESET = "ssdlite320-mobilenet-v3-large"
SMALL_OBJECT_PRESET = DEFAULT_PRESET + FINE
_DEMO_PRESET = "ssd192-tiny"
_SMALL = 0.1  # of the input's side: below two cells of a map of stride 16
_MANY_SMALL = 0.5  # of a class's objects: each class counts as much in the mean AP
_TOLD = 0.01  # of them: below it is no reason for anything
_LONG = 1.5  # width to height of images that a square would squeeze
_STEP = 32  # pixels, of an input's sides
_SAMPLE = 2_000  # images whose size is looked at
_FITS = 0.8  # of a classifier's tensors: torchvision's SSDLite has a smaller tail than its classifier
_ALIKE = "ssdlite320-mobilenet-v3-squeeze-first"  # has the shapes of another network, and another order of layers
_MANY_IMAGES = 2_000
_FORWARD, _VALIDATION = 1 / 3, 0.1  # of the time of learning from a view; of the whole
_WORTHWHILE_RECALL, _WORTHWHILE_IOU = 0.005, 0.02
_TIMM_CANDIDATES = (
    "tf_efficientnet_lite0",
    "efficientnet_lite0",
    "mobilenetv3_large_100",
    "mobilenetv2_100",
    "resnet18",
)


class DataFacts(NamedTuple):
    """Inputs of the choice.

    Attributes:
        images: to train on.
        small: share of small objects in the class that has most of them; an object is small whose side, the root of its
            area, is less than a tenth of its image's.
        aspect: median width of the images, in heights.
    """

    images: int
    small: float
    aspect: float


@dataclass(frozen=True)
class NetworkChoice:
    """A network, and why.

    Attributes:
        preset: its name.
        input_size: (width, height) in pixels; None for the preset's own.
        reason: a sentence.
    """

    preset: str
    input_size: tuple[int, int] | None
    reason: str

    def __str__(self) -> str:
        return f"network: {self.preset}, {self.reason}; to choose another (see ssd-edge models): --preset"


def data_facts(labelled: LabelledSet, sizes: Sizes | None) -> DataFacts:
    """Return what the choice goes by.

    Args:
        labelled: the training set.
        sizes: (width, height) of the images, where they are known already.

    Raises:
        InputError: the size of an image cannot be read.
    """
    samples = labelled.samples[:: max(1, len(labelled) // _SAMPLE)]
    known = sizes or {sample.image: image_size(sample.image) for sample in samples}
    shapes = {sample.image: known[sample.image] for sample in samples if known.get(sample.image, (0, 0))[1]}
    return DataFacts(
        images=len(labelled),
        small=max(_small_shares([sample for sample in samples if sample.image in shapes], shapes), default=0.0),
        aspect=float(np.median([width / height for width, height in shapes.values()])) if shapes else 1.0,
    )


def _small_shares(samples: Sequence[Sample], sizes: Sizes) -> Iterator[float]:
    """Yield the share of small objects of each class that has any."""
    sides: defaultdict[int, list[float]] = defaultdict(list)
    for sample in samples:
        width, height = sizes[sample.image]
        spans = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(axis=1) / (width * height)
        for number, area in zip(sample.class_ids[~sample.difficult].tolist(), spans[~sample.difficult], strict=True):
            sides[number].append(float(area) ** 0.5)
    for found in sides.values():
        yield sum(side < _SMALL for side in found) / len(found)


def choose_network(facts: DataFacts, weights: Weights | None) -> NetworkChoice:
    """Return the network for a data set.

    Args:
        facts: of the training set.
        weights: that the user named; the network is the one whose backbone they fit. None for none.
    """
    small_objects = facts.small >= _MANY_SMALL
    preset, why = _default_preset(small_objects), "the weights fit no backbone that is known"
    if weights is None:
        why = f"a network for small devices and few images ({facts.images} to train on)"
    elif (fitting := _preset_of(weights, small_objects)) is not None:
        preset, why = fitting, "the weights fit it"
    if facts.small >= _TOLD:
        why += f"; in one class {facts.small:.0%} of the objects are smaller than a tenth of the image"
    if preset.endswith(FINE):
        why += f"{', so' if small_objects else ';'} its first map has a stride of 8"
    size = _input_size(preset, facts.aspect)
    if size is not None:
        why += f"; the images are {facts.aspect:.2f} times as wide as high"
    return NetworkChoice(preset, size, why)


def _input_size(preset: str, aspect: float) -> tuple[int, int] | None:
    """Return an input of the images' shape and the preset's area; None for the preset's own, a square."""
    if 1 / _LONG < aspect < _LONG or find_preset(preset).sizes is None:
        return None
    side, aspect = 320, min(max(aspect, 1 / 3), 3.0)
    width, height = (round(side * factor / _STEP) * _STEP for factor in (aspect**0.5, aspect**-0.5))
    return width, height


def _preset_of(weights: Weights, small_objects: bool) -> str | None:
    """Return the first preset whose backbone the weights fit; None where they fit none.

    A checkpoint of ours says which network it is, and its head fits no other.
    """
    own = preset_with(weights.architecture)
    if own is not None:
        return own
    return next((name for name in _candidates(weights, small_objects) if _share(name, weights) >= _FITS), None)


def _default_preset(small_objects: bool) -> str:
    return SMALL_OBJECT_PRESET if small_objects else DEFAULT_PRESET


def _candidates(weights: Weights, small_objects: bool) -> Iterator[str]:
    left_out = (_DEMO_PRESET, DEFAULT_PRESET, SMALL_OBJECT_PRESET, _ALIKE)
    yield from (_default_preset(small_objects), *(name for name in preset_names() if name not in left_out))
    ending = FINE if small_objects else ""
    yield from (f"ssdlite320-{name}{ending}" for name in (*_timm_names(weights), *_TIMM_CANDIDATES))


def _timm_names(weights: Weights) -> list[str]:
    """Return the classifiers of timm that the file's name speaks of; TensorFlow's padding for weights from there."""
    try:
        import timm
    except ImportError:
        return []
    stem = re.sub(r"[-_][0-9a-f]{8,}$", "", Path(weights.origin).stem)
    word = _letters(stem)
    bare = {name: _letters(name).removeprefix("tf") for name in timm.list_models()}
    fitting = {name: len(letters) for name, letters in bare.items() if word.startswith(letters)}
    found = [name for name, length in fitting.items() if length == max(fitting.values())]  # what follows is a recipe's
    from_tensorflow = any(name.startswith("_conv_stem") for name in weights.tensors)
    return sorted(found, key=lambda name: name.startswith("tf_") != from_tensorflow)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _share(preset: str, weights: Weights) -> float:
    try:
        return fitting_share(network(make_spec(preset, ("object",))), weights)
    except (SsdEdgeError, RuntimeError):  # timm is not installed, or has no maps for an SSD there
        return 0.0


def read_named_weights(source: str | None) -> Weights | None:
    """Return the weights that the user named; None for none, or for random ones.

    Raises:
        InputError, ArtifactError: they cannot be read.
    """
    return None if source in (None, "none") else read_weights(str(source))


def fitted_anchors(spec: ModelSpec, labelled: LabelledSet, sizes: Sizes | None) -> ModelSpec:
    """Return the spec with anchors that are fitted to the objects, where that gains; what it gains is logged."""
    boxes = unit_boxes(labelled, sizes)
    if not len(boxes):
        return spec
    fitted = fit_priors(boxes, spec.anchors)
    gained = fitted.after.recall - fitted.before.recall, fitted.after.mean_iou - fitted.before.mean_iou
    if gained[0] < 0 or (gained[0] < _WORTHWHILE_RECALL and gained[1] < _WORTHWHILE_IOU):
        return spec
    log.info(
        f"anchors fitted to {len(boxes)} objects: recall {fitted.before.recall:.4f} -> {fitted.after.recall:.4f}, mean "
        f"IoU {fitted.before.mean_iou:.4f} -> {fitted.after.mean_iou:.4f}"
    )
    return dataclasses.replace(spec, anchors=fitted.anchors)


def suited_recipe(preset: str, images: int, validation: int) -> Recipe:
    """Return the recipe for a number of images: few are seen more often, in smaller batches.

    A set of 200 images is seen 200 times, one of 100,000 about 40 times. Validation takes about a tenth of the time.

    Args:
        preset: the network.
        images: to train on.
        validation: to validate on.
    """
    recipe = recipe_for(preset) if images >= _MANY_IMAGES else recipe_for_few(preset)
    return dataclasses.replace(
        recipe,
        epochs=round(200 * (200 / max(images, 10)) ** 0.25),
        batch_size=min(recipe.batch_size, max(images, 2)),
        validate_every=max(1, round((validation + MOST_VIEWS) * _FORWARD / (_VALIDATION * max(images, 1)))),
    )


def run_name(dataset: Path) -> str:
    """Return what a run on a data set is called where no name is given: the folder's name."""
    place = dataset.resolve()
    name = (place.parent if place.suffix else place).name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")
    return name if is_file_name(name) else "run"
