"""Training throughput on a GPU beside torchvision's reference: images a second of whole steps, at ever larger batches.

    python -m bench.training_on_gpu [--device cuda] [--batches 8 32 128] [--steps 20] [--compiled]

Ours is a step of ``train`` on a batch in the processor's memory: copy, normalization, network, loss, clipping and SGD.
Theirs is torchvision's detector in training mode with SGD, whose images and labels lie on the device already: as it is,
with AMP as ``references/detection --amp`` has it, in channels-last too, and with its network compiled. No one reads
files. They come one after the other; a batch that does not fit into the memory is said, and larger ones are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from bench._options import run
from bench.training_step import NETWORKS
from ssd_edge.core.errors import TrainingError
from ssd_edge.core.timing import Stopwatch
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.loader import Batch
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.recipe import Device, Optimization, Precision
from ssd_edge.training.step import Learner
from ssd_edge.training.targets import TargetEncoder, Targets

Step = Callable[[], object]
_CLASSES = 20
_OBJECTS = 4
_RATE = 1e-4
_WARM_UP = 3


def drawn(batch: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise (B, S, S, 3) uint8, boxes (B, N, 4) in 0..1, and classes (B, N)."""
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=chance)
    corners = torch.rand((batch, _OBJECTS, 2), generator=chance) * 0.5
    sides = 0.1 + torch.rand((batch, _OBJECTS, 2), generator=chance) * 0.4
    classes = torch.randint(0, _CLASSES, (batch, _OBJECTS), generator=chance)
    return images, torch.cat([corners, corners + sides], dim=2), classes


def our_step(preset: str, device: Device, precision: Precision, batch: int) -> Step:
    """Return a step of ours, always on the same images."""
    model = build_model(make_spec(preset, [f"class {number}" for number in range(_CLASSES)]))
    spec = model.spec
    images, boxes, classes = drawn(batch, spec.input.height)
    anchors = anchor_boxes(spec.anchors)
    encoder = TargetEncoder(anchors, spec.box_coding)
    each = [encoder(one.numpy(), ids.numpy()) for one, ids in zip(boxes, classes, strict=True)]
    targets = Targets(*(torch.stack(parts) for parts in zip(*each, strict=True)))
    if device == "cuda":
        images, targets = images.pin_memory(), Targets(*(part.pin_memory() for part in targets))
    optimization = Optimization(_RATE, precision=precision)
    fabric = make_fabric(device=device, precision=precision)
    fabric.launch()
    learner = Learner(model, fabric, MultiboxCriterion(optimization.loss, anchors, spec.box_coding), optimization)
    ready = Batch(images, targets, [f"{number}.jpg" for number in range(batch)])
    return lambda: learner.step([ready], learning_rate=_RATE)


def their_step(
    preset: str, device: Device, batch: int, *, amp: bool = False, channels_last: bool = False, compiled: bool = False
) -> Step:
    """Return a step of torchvision's, always on the same images."""
    network, side = NETWORKS[preset]
    model = network(weights=None, weights_backbone=None, num_classes=_CLASSES + 1).train().to(device)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    if compiled:
        model.backbone.compile()
        model.head.compile()
    images, boxes, classes = drawn(batch, side)
    pictures = list((images.permute(0, 3, 1, 2).float() / 255).to(device))
    targets = [
        {"boxes": one.to(device) * side, "labels": ids.to(device) + 1} for one, ids in zip(boxes, classes, strict=True)
    ]
    optimizer = torch.optim.SGD(model.parameters(), lr=_RATE, momentum=0.9, weight_decay=5e-4)
    kind = torch.float16 if device == "cuda" else torch.bfloat16
    scaler = torch.amp.GradScaler(device, enabled=amp and device == "cuda")

    def step() -> None:
        with torch.autocast(device, dtype=kind, enabled=amp):
            loss = sum(model(pictures, targets).values())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def contestants(preset: str, device: Device, *, compiled: bool) -> Mapping[str, Callable[[int], Step]]:
    """Return who takes part: a batch size -> a step."""
    theirs = partial(their_step, preset, device)
    found: dict[str, Callable[[int], Step]] = {
        "ours, float32": partial(our_step, preset, device, "float32"),
        "ours, bfloat16": partial(our_step, preset, device, "bfloat16"),
        "torchvision": theirs,
        "torchvision, AMP": partial(theirs, amp=True),
        "torchvision, AMP, channels-last": partial(theirs, amp=True, channels_last=True),
    }
    if compiled:
        found["torchvision, AMP, channels-last, compiled"] = partial(
            theirs, amp=True, channels_last=True, compiled=True
        )
    return found


def images_a_second(step: Step, batch: int, steps: int, device: Device) -> float:
    """Time whole steps, until the device has done the last."""
    for _ in range(_WARM_UP):
        step()
    settle(device)
    watch = Stopwatch()
    with watch:
        for _ in range(steps):
            step()
        settle(device)
    return 1000 * batch * steps / watch.last_ms


def settle(device: Device) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def rates(start: Callable[[int], Step], batches: tuple[int, ...], steps: int, device: Device) -> Iterator[float]:
    """Yield images a second at each batch size, as long as the memory holds it."""
    for batch in batches:
        try:
            yield images_a_second(start(batch), batch, steps, device)
        except torch.OutOfMemoryError:
            return
        except TrainingError as error:
            if not isinstance(error.__cause__, torch.OutOfMemoryError):
                raise
            return
        finally:
            if device == "cuda":
                torch.cuda.empty_cache()


def main(
    *,
    device: Device = "cuda",
    batches: tuple[int, ...] = (8, 32, 128),
    steps: int = 20,
    presets: tuple[str, ...] = tuple(NETWORKS),
    compiled: bool = False,
) -> None:
    if device == "cuda":
        print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    for preset in presets:
        print(f"{preset}: images a second at batches of {', '.join(map(str, batches))}")
        best = {}
        for name, start in contestants(preset, device, compiled=compiled).items():
            found = list(rates(start, tuple(sorted(batches)), steps, device))
            shown = [f"{rate:9.1f}" for rate in found] + ["no memory"] * (len(batches) - len(found))
            print(f"  {name:44}{'  '.join(shown)}", flush=True)
            best[name] = max(found, default=0.0)
        ours, theirs = (
            max(rate for name, rate in best.items() if name.startswith("ours") == own) for own in (True, False)
        )
        print(f"  best of ours / best of theirs: {ours / theirs:.2f}" if theirs else "  theirs fits at no batch size")


if __name__ == "__main__":
    run(main)
