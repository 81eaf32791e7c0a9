"""An SSD300-VGG16 from random weights in minutes, as a model to evaluate INT8 by.

    python -m bench.train_vgg DATASET OUTPUT.pt [--minutes 40]

VGG16 has no batch norm, and without ImageNet weights learns nothing in the time that two cores have. So it learns with
a batch norm behind each convolution of the backbone; at the end they are folded into the convolutions, and what is
saved is the paper's network. All else is ``ssd_edge.workflows.train``.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench._options import run
from ssd_edge.model import architectures
from ssd_edge.model.checkpoint import load_checkpoint, save_checkpoint
from ssd_edge.model.presets import PRESETS
from ssd_edge.model.zoo import build_model
from ssd_edge.workflows.train import train

PLAIN, WITH_NORMS = "ssd300-vgg16", "ssd300-vgg16-with-norms"
_PLAIN_BLOCKS = ("extra.3.", "extra.4.")  # their maps of 3 and 1 cells have too few values to take statistics of


def insert_norms_(backbone: nn.Module) -> nn.Module:
    """Put a batch norm behind each convolution whose map is large enough."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, nn.Conv2d) and not name.startswith(_PLAIN_BLOCKS):
            backbone.set_submodule(name, nn.Sequential(module, nn.BatchNorm2d(module.out_channels)))
    return backbone


def fold_norms_(backbone: nn.Module) -> None:
    """Undo :func:`insert_norms_`; the network computes the same."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, nn.Sequential) and len(module) == 2:
            convolution, norm = module
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                backbone.set_submodule(name, fuse_conv_bn_eval(convolution, norm))


def add_preset() -> None:
    """Make the network with batch norms known."""
    plain = architectures._ARCHITECTURES[PRESETS[PLAIN].architecture]
    architectures._ARCHITECTURES["vgg16-with-norms"] = dataclasses.replace(
        plain, backbone=lambda size: insert_norms_(plain.backbone(size))
    )
    PRESETS[WITH_NORMS] = dataclasses.replace(PRESETS[PLAIN], architecture="vgg16-with-norms")


def main(dataset: Path, output: Path, *, minutes: float = 40.0) -> None:
    add_preset()
    with tempfile.TemporaryDirectory() as folder:
        done = train(
            dataset,
            preset=WITH_NORMS,
            backbone="none",
            minutes=minutes,
            batch_size=2,  # a small batch: what is short is steps
            lr=0.004,
            ema=0.99,
            augmentation="ssdlite",
            workers=1,
            save_minutes=1e6,
            tensorboard=False,
            report=False,
            workspace=folder,
        )
        trained = load_checkpoint(done.path).model
    fold_norms_(trained.backbone)
    model = build_model(dataclasses.replace(trained.spec, architecture=PRESETS[PLAIN].architecture)).eval()
    model.load_state_dict(trained.state_dict())
    print(f"mAP on val {done.mean_ap:.4f} after {done.epochs[-1].seconds / 60:.1f} minutes, {len(done.epochs)} epochs")
    save_checkpoint(output, model, {"map": done.mean_ap})


if __name__ == "__main__":
    run(main)
