"""A training step of ours against torchvision's: matching, forward, loss, backward and SGD on batches of images.

    python -m bench.training_step [--networks ssd300-vgg16 ...] [--precisions float32 bfloat16] [--rounds 5] [--batch 8]

Theirs is torchvision's detector in training mode: its transform (resizing is the identity here, as the images have the
network's size), its matching and loss, and SGD. Ours is a step of ``train`` without data workers: matching,
normalization, network, loss, clipping, SGD and the moving average of the weights. Each has a process of its own, as its
users have it; after each step of ours one of theirs is made, while ours waits. The first round is thrown away; medians,
by the clock and in processor time, which other programs on the same cores lengthen less.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large

from bench._figures import report
from bench._options import run
from bench.torchvision_training import TheirImages
from ssd_edge.core.timing import Stopwatch
from ssd_edge.training.callbacks import Callback
from ssd_edge.workflows.synthesize import synthesize
from ssd_edge.workflows.train import train

Network = Literal["ssd300-vgg16", "ssdlite320-mobilenet-v3-large"]
Precision = Literal["float32", "bfloat16"]
NETWORKS: dict[Network, tuple[Callable[..., torch.nn.Module], int]] = {
    "ssd300-vgg16": (ssd300_vgg16, 300),
    "ssdlite320-mobilenet-v3-large": (ssdlite320_mobilenet_v3_large, 320),
}
_their_step: list[Callable[[], None]] = []  # of the process that makes them


class Watches:
    """Time by the clock and processor time of this process, together."""

    def __init__(self) -> None:
        self.wall, self.processor = Stopwatch(), Stopwatch(_processor_seconds)

    def start(self) -> None:
        self.wall.__enter__()
        self.processor.__enter__()

    def stop(self) -> None:
        self.processor.__exit__(None, None, None)
        self.wall.__exit__(None, None, None)

    @property
    def last_ms(self) -> tuple[float, float]:
        return self.wall.last_ms, self.processor.last_ms


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def begin_theirs(network: Network, data: Path, batch: int, threads: int) -> None:
    """Make torchvision's network ready, always for the first images."""
    torch.set_num_threads(threads)
    images = TheirImages(data)
    model = NETWORKS[network][0](weights=None, weights_backbone=None, num_classes=len(images.class_names) + 1).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    pictures = [decode_image(str(path), ImageReadMode.RGB).float() / 255 for path in images.paths[:batch]]
    targets = [images.target(index) for index in range(batch)]

    def step() -> None:
        loss = sum(model(pictures, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    _their_step.append(step)


def time_theirs() -> tuple[float, float]:
    """Make a step of theirs; milliseconds by the clock and of the processor."""
    watches = Watches()
    watches.start()
    _their_step[0]()
    watches.stop()
    return watches.last_ms


class InTurns(Callback):
    """Has a step of theirs made after each of ours, and times both."""

    def __init__(self, theirs: Callable[[], tuple[float, float]]) -> None:
        self._theirs, self._watches = theirs, Watches()
        self._is_warm = False
        self.rounds: list[tuple[tuple[float, float], tuple[float, float]]] = []

    def on_step(self, *_: Any) -> None:
        if self._is_warm:
            self._watches.stop()
            self.rounds.append((self._watches.last_ms, self._theirs()))
        else:  # what came before this is no step alone
            self._theirs()
            self._is_warm = True
        self._watches.start()

    def medians(self, clock: int) -> torch.Tensor:
        """Our time, theirs, and theirs over ours; 0 is the clock on the wall, 1 processor time."""
        times = torch.tensor(self.rounds)[..., clock]
        return torch.cat([times, times[:, 1:] / times[:, :1]], dim=1).quantile(0.5, dim=0)


def train_ours(
    data: Path, folder: Path, network: Network, precision: Precision, turns: Callback, **options: Any
) -> None:
    """Train for one epoch of a batch a round."""
    train(
        data,
        preset=network,
        backbone="none",
        epochs=1,
        val_split="val",
        lr=1e-4,
        augmentation="none",
        precision=precision,
        device="cpu",
        workers=0,
        save_minutes=1e6,
        check=False,
        tensorboard=False,
        report=False,
        callbacks=[turns],
        workspace=folder,
        **options,
    )


def compare(
    network: Network, precisions: tuple[Precision, ...], folder: Path, *, batch: int, rounds: int, threads: int
) -> None:
    """Print the medians of one network."""
    side = NETWORKS[network][1]
    data = folder / f"{side}"
    synthesize(data, train=batch * (rounds + 1), val=8, test=1, size=(side, side))
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=begin_theirs, initargs=(network, data, batch, threads)
    ) as theirs:
        theirs.submit(time_theirs).result()
        for precision in precisions:
            turns = InTurns(lambda: theirs.submit(time_theirs).result())
            train_ours(data, folder, network, precision, turns, batch_size=batch, cores=threads)
            for clock, name in enumerate(("clock", "processor")):
                own, other, ratio = turns.medians(clock).tolist()
                print(
                    f"{network}, {precision}, {name}: {own:.0f} ms, theirs {other:.0f} ms: {ratio:.2f} times as fast",
                    flush=True,
                )
                report(f"training-step.{network}.{precision}.{name}.ratio", ratio)


def main(
    *,
    networks: tuple[Network, ...] = tuple(NETWORKS),
    precisions: tuple[Precision, ...] = ("float32", "bfloat16"),
    rounds: int = 5,
    batch: int = 8,
    threads: int = 2,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for network in networks:
            compare(network, precisions, Path(folder), batch=batch, rounds=rounds, threads=threads)


if __name__ == "__main__":
    run(main)
