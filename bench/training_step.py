"""A training step of ours against torchvision's: matching, forward, loss, backward and SGD on batches of images.

    python -m bench.training_step [--rounds 5] [--batch 8]

Theirs is torchvision's detector in training mode: its transform (resizing is the identity here, as the images have the
network's size), its matching and loss, and SGD. Ours is a step of ``train`` without data workers: matching,
normalization, network, loss, clipping, SGD and the moving average of the weights, in float32 and in bfloat16. After
each step of ours one of theirs is made; the first round is thrown away; medians.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from bench._options import run
from bench.torchvision_training import TheirImages
from ssd_edge.core.timing import Stopwatch
from ssd_edge.training.callbacks import Callback
from ssd_edge.workflows.synthesize import synthesize
from ssd_edge.workflows.train import train

NETWORKS = {"ssd300-vgg16": (ssd300_vgg16, 300), "ssdlite320-mobilenet-v3-large": (ssdlite320_mobilenet_v3_large, 320)}


def their_step(network: Callable[..., torch.nn.Module], images: TheirImages, batch: int) -> Callable[[], None]:
    """Return a step of torchvision's, always on the first images."""
    model = network(weights=None, weights_backbone=None, num_classes=len(images.class_names) + 1).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    pictures = [decode_image(str(path), ImageReadMode.RGB).float() / 255 for path in images.paths[:batch]]
    targets = [images.target(index) for index in range(batch)]

    def step() -> None:
        loss = sum(model(pictures, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class InTurns(Callback):
    """Makes a step of theirs after each of ours, and times both."""

    def __init__(self, theirs: Callable[[], None]) -> None:
        self._theirs, self.own, self.other = theirs, Stopwatch(), Stopwatch()
        self._is_warm = False

    def on_step(self, *_: Any) -> None:
        if self._is_warm:
            self.own.__exit__(None, None, None)
            with self.other:
                self._theirs()
        else:  # what came before this is no step alone
            self._theirs()
            self._is_warm = True
        self.own.__enter__()


def compare(preset: str, folder: Path, *, batch: int, rounds: int) -> None:
    """Print the medians of one network."""
    network, side = NETWORKS[preset]
    data = folder / f"{side}"
    synthesize(data, train=batch * (rounds + 1), val=1, test=1, size=(side, side))
    theirs = their_step(network, TheirImages(data), batch)
    for precision in ("float32", "bfloat16"):
        turns = InTurns(theirs)
        train(
            data,
            preset=preset,
            backbone="none",
            epochs=1,
            val_split="train",
            batch_size=batch,
            lr=1e-4,
            augmentation="none",
            precision=precision,  # type: ignore[arg-type]
            device="cpu",
            workers=0,
            save_minutes=1e6,
            check=False,
            tensorboard=False,
            report=False,
            callbacks=[turns],
            workspace=folder,
        )
        own, other = turns.own.timing, turns.other.timing
        print(
            f"{preset}, {precision}: {own.median_ms:.0f} ms, theirs {other.median_ms:.0f} ms: "
            f"{other.ratio_to(own):.2f} times as fast",
            flush=True,
        )


def main(*, rounds: int = 5, batch: int = 8) -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        for preset in NETWORKS:
            compare(preset, Path(folder), batch=batch, rounds=rounds)


if __name__ == "__main__":
    run(main)
