"""What the demo makes, how much of it, and where."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

PRESET = "ssd192-tiny"
MODEL_NAME = "signs"


@dataclass(frozen=True)
class DemoPlan:
    """How much the demo draws and trains.

    Attributes:
        train, val, test: pictures.
        size: (width, height) of the pictures; of the shape of the film, so that the square input squeezes both alike.
        input_size: side of the network's square input.
        epochs: passes over the training set.
        minutes: that training may take, validation included.
        batch_size: pictures a training step; by default the preset's.
        workers: processes that prepare them; by default as ``ssd-edge train`` has it.
        film_size, film_frames: the film's.
        seeds: of the pictures to learn from, the held-out ones, and the film.
        score_threshold: what the film shows, and what its JSON lines hold.
        stills: pictures in the report.
    """

    train: int = 1600
    val: int = 120
    test: int = 240
    size: tuple[int, int] = (320, 180)
    input_size: int = 192
    epochs: int = 20
    minutes: float = 6.0
    batch_size: int | None = None
    workers: int | None = None
    film_size: tuple[int, int] = (1280, 720)
    film_frames: int = 300
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
    input_size=64,
    epochs=2,
    minutes=0.2,
    batch_size=8,
    workers=0,
    film_size=(160, 96),
    film_frames=8,
    stills=2,
)


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo's files lie: a workspace of its own, with the data and the report beside."""

    folder: Path

    @property
    def data(self) -> Path:
        """Pictures to learn from and to choose by."""
        return self.folder / "data" / "signs"

    @property
    def held_out(self) -> Path:
        """Pictures to judge by, of another seed."""
        return self.folder / "data" / "held-out"

    @property
    def film(self) -> Path:
        """The drawn film."""
        return self.folder / "data" / "film.mp4"

    @property
    def film_truth(self) -> Path:
        """What is to be seen in its frames."""
        return self.film.with_suffix(".truth.jsonl")

    @property
    def run(self) -> Path:
        """What training leaves."""
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
        """The film with boxes, in full."""
        return self.folder / "film.mp4"

    @property
    def preview(self) -> Path:
        """The film with boxes, small, in VP8, which every browser plays."""
        return self.folder / "preview.webm"

    @property
    def lines(self) -> Path:
        """The film's detections."""
        return self.folder / "detections.jsonl"

    @property
    def stills(self) -> Path:
        """Held-out pictures with marks drawn in."""
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
        """What lets a second run skip what has not changed."""
        return self.folder / ".stamps"
