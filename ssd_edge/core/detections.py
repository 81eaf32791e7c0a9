"""Detections of one image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array

if TYPE_CHECKING:
    import supervision

Chosen = slice | Sequence[int] | Sequence[bool] | npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]
"""Selects several detections: a slice, a boolean mask, or indices."""

_SHOWN = 3
_SHOWN_ROWS = 20


@dataclass(frozen=True)
class Detection:
    """One object in an image.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the image.
        score: 0 to 1.
        class_id: 0 is the first class; background is not counted.
        label: name of the class.
        track_id: number of the object, the same in every frame, from 1; None where objects are not tracked.
    """

    box: tuple[float, float, float, float]
    score: float
    class_id: int
    label: str
    track_id: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """The objects in one image, best first.

    ``for d in detections`` gives each as a :class:`Detection`, as ``detections[0]`` does; a slice, a mask or a list of
    places gives :class:`Detections` again.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the image.
        scores: (N,) float32 in 0..1, not increasing.
        class_ids: (N,) int64; 0 is the first class (background is not counted).
        class_names: labels by class id; where there are none, a label is the class id.
        track_ids: (N,) int64, the number of each object, from 1; None where objects are not tracked.
    """

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray
    class_names: tuple[str, ...] = ()
    track_ids: IntArray | None = None

    @classmethod
    def from_unit_boxes(
        cls,
        boxes: FloatArray,
        scores: FloatArray,
        class_ids: FloatArray | IntArray,
        *,
        width: int,
        height: int,
        class_names: tuple[str, ...] = (),
    ) -> Detections:
        """Scale (N, 4) boxes in 0..1 of the image to its pixels; scores must already be sorted, best first."""
        scale = np.array([width, height, width, height], dtype=np.float32)
        return cls(
            boxes=(boxes * scale).astype(np.float32),
            scores=scores.astype(np.float32),
            class_ids=class_ids.astype(np.int64),
            class_names=class_names,
        )

    @classmethod
    def empty(cls, class_names: tuple[str, ...] = ()) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), class_names)

    @property
    def labels(self) -> list[str]:
        """The label of each detection."""
        return [self._label(class_id) for class_id in self.class_ids.tolist()]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        ids = [None] * len(self) if self.track_ids is None else self.track_ids.tolist()
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), ids, strict=True)
        for (x1, y1, x2, y2), score, class_id, track_id in rows:
            yield Detection((x1, y1, x2, y2), score, class_id, self._label(class_id), track_id)

    @overload
    def __getitem__(self, chosen: int | np.integer[Any]) -> Detection: ...

    @overload
    def __getitem__(self, chosen: Chosen) -> Detections: ...

    def __getitem__(self, chosen: int | np.integer[Any] | Chosen) -> Detection | Detections:
        if isinstance(chosen, (int, np.integer)):
            place = range(len(self))[int(chosen)]  # IndexError where there is none
            return next(iter(self._taken(slice(place, place + 1))))
        if isinstance(chosen, slice):
            return self._taken(chosen)
        return self._taken(np.asarray(chosen) if len(chosen) else np.zeros(0, np.int64))

    def above(self, threshold: float) -> Detections:
        """Return those that score more than ``threshold`` (strictly, as BatchedNMS compares)."""
        if not len(self.scores) or self.scores[-1] > threshold:
            return self
        return self._taken(slice(int(np.count_nonzero(self.scores > threshold))))

    def filter(self, *, score: float | None = None, labels: str | Iterable[str] | None = None) -> Detections:
        """Return some of the detections, in the same order.

        Args:
            score: only those that score more, from 0 to 1.
            labels: only those of this class, or of one of these.

        Raises:
            InputError: there is no class of such a name.
        """
        kept = np.ones(len(self), np.bool_)
        if score is not None:
            kept &= self.scores > score
        if labels is not None:
            wanted = {labels} if isinstance(labels, str) else set(labels)
            self._check_labels(wanted)
            kept &= np.array([label in wanted for label in self.labels], np.bool_)
        return self._taken(kept)

    def plot(self, image: UInt8Array) -> UInt8Array:
        """Return a copy of the image with the boxes, each with its label and score; the best is on top.

        Where objects are tracked, each has its id before the label, and a color of its own.

        Args:
            image: (H, W, 3) uint8 BGR, the one that the boxes belong to.

        Raises:
            InputError: it is another kind of array.
        """
        from ssd_edge.core.images import check_bgr
        from ssd_edge.core.overlay import draw_boxes

        drawn = np.array(check_bgr(image, origin="the image"), np.uint8, order="C")
        captions = [f"{_id_text(d)}{d.label} {d.score:.0%}" for d in self]
        draw_boxes(drawn, self.boxes, self.class_ids if self.track_ids is None else self.track_ids, captions)
        return drawn

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return plain lists and numbers, with the keys of the JSON lines of ``ssd-edge run``."""
        return {
            "detections": [
                {"box": list(d.box), "score": d.score, "class_id": d.class_id, "label": d.label}
                | ({} if d.track_id is None else {"track_id": d.track_id})
                for d in self
            ]
        }

    def to_coco(self, image_id: int | str) -> list[dict[str, Any]]:
        """Return entries of a COCO results file.

        ``bbox`` is x, y, width, height in pixels; ``category_id`` is the class id + 1, as in the COCO files
        that ``ssd-edge data synth`` writes.
        """
        return [
            {
                "image_id": image_id,
                "category_id": d.class_id + 1,
                "bbox": [d.box[0], d.box[1], d.box[2] - d.box[0], d.box[3] - d.box[1]],
                "score": d.score,
            }
            for d in self
        ]

    def to_supervision(self) -> supervision.Detections:
        """Return ``supervision.Detections``, with the labels in ``data["class_name"]`` and ids in ``tracker_id``.

        Raises:
            MissingPackageError: supervision is not installed.
        """
        try:
            from supervision import Detections as SupervisionDetections
        except ImportError as error:
            raise MissingPackageError(
                "supervision is not installed", got=str(error), do="Install it: pip install supervision"
            ) from error
        return SupervisionDetections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.class_ids.copy(),
            tracker_id=None if self.track_ids is None else self.track_ids.copy(),
            data={"class_name": np.array(self.labels, dtype=np.str_)},
        )

    def __repr__(self) -> str:
        shown = [f"{_id_text(d)}{d.label} {d.score:.2f}" for d in self[:_SHOWN]]
        if len(self) > _SHOWN:
            shown.append("…")
        return f"Detections({len(self)}{': ' if shown else ''}{', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = "".join(
            f"<tr><td>{_id_text(d)}{escape(d.label)}</td><td>{d.score:.3f}</td>"
            f"<td>{', '.join(f'{edge:.1f}' for edge in d.box)}</td></tr>"
            for d in self[:_SHOWN_ROWS]
        )
        rest = f"<tr><td colspan=3>and {len(self) - _SHOWN_ROWS} more</td></tr>" if len(self) > _SHOWN_ROWS else ""
        return f"<table><tr><th>label</th><th>score</th><th>x1, y1, x2, y2</th></tr>{rows}{rest}</table>"

    def _label(self, class_id: int) -> str:
        return self.class_names[class_id] if self.class_names else str(class_id)

    def _taken(self, chosen: slice | npt.NDArray[Any]) -> Detections:
        track_ids = None if self.track_ids is None else self.track_ids[chosen]
        return Detections(self.boxes[chosen], self.scores[chosen], self.class_ids[chosen], self.class_names, track_ids)

    def _check_labels(self, wanted: set[str]) -> None:
        unknown = sorted(wanted - set(self.class_names)) if self.class_names else []
        if unknown:
            raise InputError(
                f"the model has no class {', '.join(map(repr, unknown))}", wanted=", ".join(self.class_names)
            )


def _id_text(detection: Detection) -> str:
    return "" if detection.track_id is None else f"#{detection.track_id} "
