"""Plan of the demo: sizes, times and files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

PRESET = "ssd192-tiny"
MODEL_NAME = "signs"


@dataclass(frozen=True)
class DemoPlan:
    """Sizes and times of the demo.

    Attributes:
        train, val, test: images.
        size: (width, height) of the images; of the shape of the video.
        input_size: (width, height) of the network's input; of the same shape, as a square would squeeze small signs.
        epochs: passes over the training set.
        minutes: that training may take, validation included.
        batch_size: images a training step; by default the preset's.
        workers: processes that prepare them; by default as ``ssd-edge train`` has it.
        video_size, video_frames: the video's.
        seeds: of the images to train on, the held-out ones, and the video.
        score_threshold: what the video shows, and what its JSON lines hold.
        stills: images in the report.
    """

    train: int = 1600
    val: int = 120
    test: int = 240
    size: tuple[int, int] = (320, 180)
    input_size: tuple[int, int] = (288, 160)
    epochs: int = 16
    minutes: float = 7.0
    batch_size: int | None = None
    workers: int | None = None
    video_size: tuple[int, int] = (1280, 720)
    video_frames: int = 300
    seeds: tuple[int, int, int] = (1, 2, 3)
    score_threshold: float = 0.3
    stills: int = 6

    def settings(self, *names: str) -> dict[str, object]:
        """Return the named fields as plain JSON values."""
        fields = dataclasses.asdict(self)
        return {name: fields[name] for name in names}


FULL = DemoPlan()
QUICK = DemoPlan(
    train=32,
    val=6,
    test=12,
    size=(96, 72),
    input_size=(64, 64),
    epochs=2,
    minutes=0.2,
    batch_size=8,
    workers=0,
    video_size=(160, 96),
    video_frames=8,
    stills=2,
)


@dataclass(frozen=True)
class DemoFiles:
    """Files of the demo: a workspace, with its data and its report."""

    folder: Path

    @property
    def data(self) -> Path:
        """Images to train on and to validate on."""
        return self.folder / "data" / "signs"

    @property
    def held_out(self) -> Path:
        """Images to evaluate on, of another seed."""
        return self.folder / "data" / "held-out"

    @property
    def video(self) -> Path:
        """The drawn video."""
        return self.folder / "data" / "film.mp4"

    @property
    def video_objects(self) -> Path:
        """Objects in the frames of the video."""
        return self.video.with_suffix(".truth.jsonl")

    @property
    def priors(self) -> Path:
        """Anchors that are fitted to the images to train on."""
        return self.folder / "priors.json"

    @property
    def run(self) -> Path:
        """Checkpoint of the training."""
        return self.folder / "runs" / MODEL_NAME

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint."""
        return self.run / "best.pt"

    @property
    def onnx(self) -> Path:
        """The exported model."""
        return self.folder / "engines" / MODEL_NAME / f"{MODEL_NAME}.onnx"

    @property
    def engine(self) -> Path:
        """The engine for this machine."""
        return self.onnx.with_name(f"{MODEL_NAME}.fp32.onnxruntime.engine")

    @property
    def annotated(self) -> Path:
        """The video with boxes, in full."""
        return self.folder / "film.mp4"

    @property
    def preview(self) -> Path:
        """The video with boxes, small, in VP8, which every browser plays."""
        return self.folder / "preview.webm"

    @property
    def lines(self) -> Path:
        """The video's detections."""
        return self.folder / "detections.jsonl"

    @property
    def stills(self) -> Path:
        """Held-out images with marks drawn in."""
        return self.folder / "stills"

    @property
    def figures(self) -> Path:
        """The evaluation as JSON."""
        return self.folder / "eval.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def stamps(self) -> Path:
        """Record that lets a second run skip unchanged steps."""
        return self.folder / ".stamps"
