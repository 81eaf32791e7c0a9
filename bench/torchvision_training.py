"""torchvision's reference training of SSDLite320 (references/detection), for ``bench.bccd_training``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2

from ssd_edge.core.sample import LabelledSet
from ssd_edge.importing.torchvision import load_torchvision
from ssd_edge.model.ssd import SSD
from ssd_edge.training.ema import WeightAverage

RATE_PER_PICTURE = 0.15 / 192
WEIGHT_DECAY = 4e-5


class TheirPictures(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures as references/detection reads and augments them for SSDLite."""

    def __init__(self, labelled: LabelledSet) -> None:
        self._samples = labelled.samples
        self._views = v2.Compose(
            [
                v2.RandomIoUCrop(),
                v2.RandomHorizontalFlip(p=0.5),
                v2.ToDtype(torch.float, scale=True),
                v2.SanitizeBoundingBoxes(),
            ]
        )

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        sample = self._samples[index]
        image = tv_tensors.Image(decode_image(str(sample.image), ImageReadMode.RGB))
        boxes = torch.from_numpy(sample.boxes)
        target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=tuple(image.shape[-2:])),
            "labels": torch.from_numpy(sample.class_ids) + 1,
        }
        view, labels = self._views(image, target)
        return view.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in labels.items()}


def train_theirs(
    learnt: LabelledSet,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    workers: int,
    average_decay: float | None = None,
    clip_norm: float | None = None,
) -> SSD:
    """Train as references/detection does, and return the network as ours.

    Args:
        average_decay: of a moving average of the weights, which is returned then; the recipe for SSDLite has none.
        clip_norm: gradients are scaled down to this norm; the recipe does not.
    """
    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=len(learnt.class_names) + 1
    ).train()
    average = WeightAverage(model, decay=average_decay) if average_decay is not None else None
    loader = DataLoader(
        TheirPictures(learnt),
        batch_size,
        shuffle=True,
        num_workers=workers,
        collate_fn=lambda batch: tuple(zip(*batch, strict=True)),
        drop_last=True,
        persistent_workers=workers > 0,
    )
    optimiser = torch.optim.SGD(
        model.parameters(), lr=RATE_PER_PICTURE * batch_size, momentum=0.9, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    # Made once: LinearLR multiplies the rate by its first factor when it is made, so that another one in a later epoch
    # would end the training there.
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.001, total_iters=min(1000, len(loader) - 1))
    for epoch in range(epochs):
        for images, targets in loader:
            loss = sum(model(list(images), list(targets)).values())
            optimiser.zero_grad()
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimiser.step()
            if average is not None:
                average.update()
            if epoch == 0:
                warm_up.step()
        schedule.step()
    return load_torchvision((average.model if average else model).state_dict(), learnt.class_names)
