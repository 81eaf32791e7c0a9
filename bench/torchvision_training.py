"""torchvision's reference training of SSDLite320 (references/detection), for ``bench.bccd_training``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2

RATE_PER_IMAGE = 0.15 / 192
WEIGHT_DECAY = 4e-5


class TheirImages(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """The split ``train`` of a VOC folder, read and augmented as references/detection does for SSDLite.

    Attributes:
        paths: of the images.
        class_names: of all objects, in alphabetical order, as ``ssd_edge`` has them.
    """

    def __init__(self, dataset: Path) -> None:
        stems = (dataset / "ImageSets" / "Main" / "train.txt").read_text().split()
        self.paths = [next((dataset / "JPEGImages").glob(f"{stem}.*")) for stem in stems]
        self._objects = [
            [_object(node) for node in ElementTree.parse(dataset / "Annotations" / f"{stem}.xml").iter("object")]
            for stem in stems
        ]
        self.class_names = sorted({label for found in self._objects for label, _ in found})
        self._views = v2.Compose(
            [
                v2.RandomIoUCrop(),
                v2.RandomHorizontalFlip(p=0.5),
                v2.ToDtype(torch.float, scale=True),
                v2.SanitizeBoundingBoxes(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def target(self, index: int) -> dict[str, Tensor]:
        """Return boxes and labels of one image."""
        found = self._objects[index]
        boxes = torch.tensor([box for _, box in found]).reshape(-1, 4)
        labels = torch.tensor([self.class_names.index(label) + 1 for label, _ in found], dtype=torch.int64)
        return {"boxes": boxes, "labels": labels}

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        image = tv_tensors.Image(decode_image(str(self.paths[index]), ImageReadMode.RGB))
        target = self.target(index)
        target["boxes"] = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=tuple(image.shape[-2:]))
        view, labels = self._views(image, target)
        return view.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in labels.items()}


def _object(node: ElementTree.Element) -> tuple[str, tuple[float, ...]]:
    """Return label and box; corners in the files are 1-based and inclusive."""
    box = {edge: float(node.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")}
    return node.findtext("name", "").strip(), (box["xmin"] - 1, box["ymin"] - 1, box["xmax"], box["ymax"])


def train_theirs(
    dataset: Path,
    output: Path,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    workers: int,
    ema: float | None = None,
    clip_norm: float | None = None,
) -> list[str]:
    """Train as references/detection does, write torchvision's state dict to ``output`` and return the class names.

    Args:
        ema: decay of a moving average of the weights, which is written then; the recipe for SSDLite has none.
        clip_norm: gradients are scaled down to this norm; the recipe does not.
    """
    torch.manual_seed(seed)
    images = TheirImages(dataset)
    model = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=len(images.class_names) + 1
    ).train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True) if ema else None
    loader = DataLoader(
        images,
        batch_size,
        shuffle=True,
        num_workers=workers,
        collate_fn=lambda batch: tuple(zip(*batch, strict=True)),
        drop_last=True,
        persistent_workers=workers > 0,
    )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=RATE_PER_IMAGE * batch_size, momentum=0.9, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    # Made once: LinearLR multiplies the rate by its first factor when it is made, so that another one in a later epoch
    # would end the training there.
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=min(1000, len(loader) - 1))
    for epoch in range(epochs):
        for batch, targets in loader:
            loss = sum(model(list(batch), list(targets)).values())
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            if average is not None:
                average.update_parameters(model)
            if epoch == 0:
                warm_up.step()
        schedule.step()
    torch.save((average.module if average else model).state_dict(), output)
    return images.class_names
