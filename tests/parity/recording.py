"""What another project's code found, and all that it takes to ask ours the same: a few kilobytes, no weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ssd_edge.core.detections import Detections
from tests.parity.seeded import Scaling, Shapes, apply_scaling, seeded_picture, seeded_weights

DATA = Path(__file__).with_name("data")


@dataclass(frozen=True)
class Recording:
    """One image through one network of another project.

    Attributes:
        source: project and commit.
        shapes: of the project's tensors, by name.
        seed: of weights and image.
        side: of the image, which is the network's input size.
        scaling: of the heads.
        detections: what the project's own code found, boxes in pixels.
    """

    source: str
    shapes: Shapes
    seed: int
    side: int
    scaling: Scaling
    detections: Detections

    def weights(self) -> dict[str, Tensor]:
        """Return the project's state dict."""
        return apply_scaling(seeded_weights(self.shapes, self.seed), self.scaling)

    def picture(self) -> np.ndarray:
        """Return the (side, side, 3) BGR image."""
        return seeded_picture(self.side, self.seed)


def save_recording(name: str, recording: Recording) -> None:
    """Write the recording to ``data/<name>.npz``."""
    about = {"source": recording.source, "shapes": recording.shapes, "seed": recording.seed, "side": recording.side}
    found = recording.detections
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(
        DATA / f"{name}.npz",
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        boxes=found.boxes,
        scores=found.scores,
        class_ids=found.class_ids,
        **recording.scaling,
    )


def load_recording(name: str) -> Recording:
    """Read what :func:`save_recording` wrote."""
    with np.load(DATA / f"{name}.npz") as file:
        arrays = dict(file)
    about = json.loads(arrays.pop("about").tobytes())
    found = Detections(arrays.pop("boxes"), arrays.pop("scores"), arrays.pop("class_ids"))
    shapes = {key: tuple(shape) for key, shape in about["shapes"].items()}
    return Recording(about["source"], shapes, about["seed"], about["side"], arrays, found)
