"""Labelled images as training examples: decoded, augmented and matched to the anchors in the data workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import decode_image, image_bytes
from ssd_edge.core.jpeg import jpeg_frame_size
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import UNKNOWN_CLASS, LabelledSet, Sample
from ssd_edge.data.augment import Augment
from ssd_edge.training.targets import TargetEncoder, Targets

# Photos far larger than a network needs are decoded at a half, a quarter or an eighth.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


_MOST_STAND_INS = 8
"""Images that are tried in the place of one that cannot be read."""


class Draw(NamedTuple):
    """Index of an image and its epoch; with the seed they determine every random choice."""

    epoch: int
    sample: int


class Example(NamedTuple):
    """Input view and targets of the network.

    Attributes:
        image: (H, W, 3) uint8, BGR, of the input's size.
        targets: (A,) labels and (A, 4) offsets.
        path: file of the image, for errors.
        instead_of: file of the image that was drawn, where it cannot be read and this one stands in; else empty.
    """

    image: Tensor
    targets: Targets
    path: str
    instead_of: str = ""


class TrainingSet(Dataset["Example | SsdEdgeError"]):
    """Examples of a labelled set, the same for a (seed, epoch, sample) whatever the number of workers.

    For an image that cannot be read the next one that can stands in. What cannot be used otherwise comes back as its
    error: an exception that leaves a worker would reach the user as a traceback in a string.

    Args:
        labelled: the images; ``difficult`` objects are neither learned nor background.
        augment: gives the view and its boxes, in pixels of the input.
        encode_targets: matches the boxes to the anchors.
        seed: of all random choices.
        decoded: images that are in memory already; the others are read from disk each time, photos that are far
            larger than the views need reduced.
    """

    def __init__(
        self,
        labelled: LabelledSet,
        augment: Augment,
        encode_targets: TargetEncoder,
        *,
        seed: int,
        decoded: Mapping[Path, ReducedImage] | None = None,
    ) -> None:
        self._samples = labelled.samples
        self._augment = augment
        self._least_side = augment.least_side
        self._encode_targets = encode_targets
        self._seed = seed
        self._decoded = decoded or {}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: Draw) -> Example | SsdEdgeError:
        """Return the example of a draw, or the named error that it met."""
        sample, image = self._samples[draw.sample], self._image(draw.sample)
        instead_of = ""
        if isinstance(image, InputError):
            error, instead_of = image, str(sample.image)
            for number in range(draw.sample + 1, draw.sample + 1 + _MOST_STAND_INS):
                sample = self._samples[number % len(self)]
                image = self._image(number % len(self))
                if not isinstance(image, InputError):
                    break
            else:
                return _about(self._samples[draw.sample], error)
        try:
            rng = np.random.default_rng((self._seed, draw.epoch, draw.sample))
            return self._example(sample, image, rng)._replace(instead_of=instead_of)
        except SsdEdgeError as error:
            return _about(sample, error)

    def _image(self, number: int) -> ReducedImage | InputError:
        image = self._samples[number].image
        try:
            return self._decoded.get(image) or read_reduced(image, least_side=self._least_side)
        except InputError as error:
            return error

    def _example(self, sample: Sample, image: ReducedImage, rng: np.random.Generator) -> Example:
        boxes = sample.boxes / np.float32(image.factor)
        class_ids = np.where(sample.difficult, UNKNOWN_CLASS, sample.class_ids)
        view, boxes, class_ids = self._augment(image.pixels, boxes, class_ids, rng)
        height, width = view.shape[:2]
        unit_boxes = (boxes / np.array([width, height, width, height], np.float32)).astype(np.float32)
        return Example(torch.from_numpy(view), self._encode_targets(unit_boxes, class_ids), str(sample.image))


class ReducedImage(NamedTuple):
    """An image, upright.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
        factor: pixels of the file that one of these stands for, across and down: 1, 2, 4 or 8.
    """

    pixels: UInt8Array
    factor: int = 1


def read_reduced(path: Path, *, least_side: int | None) -> ReducedImage:
    """Return the image, reduced as far as its shorter side keeps ``least_side`` pixels; as it is for None.

    Only JPEG is: of other files all pixels must be decoded first. What is not reduced is what ``read_image`` gives.
    A side that the factor does not divide ends in pixels that stand for fewer of the file's; where EXIF mirrors the
    image they lie at its beginning, and places are shifted by less than one of them.

    Raises:
        InputError: as ``read_image``.
    """
    data = image_bytes(path)
    stored = jpeg_frame_size(data)
    if stored is not None and least_side is not None:
        factor = next((factor for factor in _REDUCED if min(stored) >= factor * least_side), 1)
        if factor > 1:
            pixels = decode_image(path, data, _REDUCED[factor])
            if sorted(pixels.shape[:2]) == sorted(-(-side // factor) for side in stored):
                return ReducedImage(pixels, factor)
    return ReducedImage(decode_image(path, data))


def decode_images(
    samples: Iterable[Sample], *, limit_bytes: int, least_side: int | None = None, progress: Progress = silent
) -> dict[Path, ReducedImage]:
    """Read images into memory, in order, until ``limit_bytes`` are held; the workers share them.

    Args:
        samples: whose images.
        limit_bytes: of pixels.
        least_side: see :func:`read_reduced`; what the views need.
        progress: called after each image.

    An image that cannot be read is passed over.
    """
    decoded: dict[Path, ReducedImage] = {}
    held = 0
    paths = list(dict.fromkeys(sample.image for sample in samples))
    for number, path in enumerate(paths, start=1):
        try:
            image = read_reduced(path, least_side=least_side)
        except InputError:
            continue  # named where it is drawn
        held += image.pixels.nbytes
        if held > limit_bytes:
            break
        decoded[path] = image
        progress(number, len(paths))
    return decoded


def _about(sample: Sample, error: SsdEdgeError) -> SsdEdgeError:
    """Return the error with the image's name in it, where it has none."""
    if str(sample.image) not in error.what:
        error.what = f"{sample.image}: {error.what}"
    return error
