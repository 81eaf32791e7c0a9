"""The labeller: batches of images, each read, decoded, resized and inferred on one of its threads.

A batch always has the same number of images, and an image its place in it by the plan: black stands for what is missing
or damaged. So a row does not depend on which images were labelled with it, before it or on another machine.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import check_image_bytes, check_stored_size, decode_image, read_image
from ssd_edge.core.native_lines import image_lines_dropped
from ssd_edge.labelling.items import Item
from ssd_edge.labelling.rows import Rows

OpenVideo = Callable[[Path], Iterable[UInt8Array]]
"""A function that yields the (H, W, 3) BGR frames of a video; InputError where it cannot be read."""

_GROUP = 1024  # rows that are in memory before they are written, or little more
_AHEAD = 4  # batches of each thread that wait or are done, while the rows of a unit are written


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of a unit, in their order.

    Attributes:
        unit: its number.
        rows: some of its rows; at least one.
        is_last: there are no more.
    """

    unit: int
    rows: Rows
    is_last: bool


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video, decoded and resized already: one thread reads a video.

    Attributes:
        item: its id, and its video.
        size: (width, height) before it was resized.
        pixels: (H, W, 3) uint8 of the model's input size; None where the video cannot be read.
        error: why not.
    """

    item: Item
    size: tuple[int, int] | None
    pixels: UInt8Array | None
    error: str | None = None

    @classmethod
    def unread(cls, item: Item, error: InputError, out: UInt8Array | None = None) -> Frame:
        """Return one that cannot be read; ``out``, its place in a batch, becomes black."""
        if out is not None:
            out[:] = 0
        return cls(item, None, None, str(error))


class Labeller:
    """Labels units of images with one detector; a context manager that ends its threads.

    Args:
        detector: open; the caller closes it.
        batch: images of a batch.
        threads: that read, decode and infer a batch each.
        every: of a video, each so-manieth frame is labelled.
        open_video: reads a video.
    """

    def __init__(self, detector: Detector, *, batch: int, threads: int, every: int, open_video: OpenVideo) -> None:
        self._detector, self._batch, self._every, self._open_video = detector, batch, every, open_video
        self._shape = (batch, detector.input_size[1], detector.input_size[0], 3)
        self._buffers = threading.local()
        self._none = Detections.empty(detector.class_names)
        self._ahead = _AHEAD * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ssd-edge-label")

    def label(self, units: Iterable[tuple[int, list[Item]]]) -> Iterator[Group]:
        """Yield the rows of each unit in groups, in the order in which they come.

        Raises:
            SsdEdgeError: the model fails; an image that cannot be read is a row with its error.
        """
        waiting: deque[tuple[int, Future[Rows] | None]] = deque()  # None: the end of a unit
        rows = Rows()
        for entry in chain(self._submitted(units), [None]):
            if entry is not None:
                waiting.append(entry)
            while len(waiting) > (0 if entry is None else self._ahead):
                number, future = waiting.popleft()
                if future is not None:
                    rows.add(future.result())
                if future is None or (len(rows) >= _GROUP and waiting and waiting[0][1] is not None):
                    yield Group(number, rows, is_last=future is None)
                    rows = Rows()

    def _submitted(self, units: Iterable[tuple[int, list[Item]]]) -> Iterator[tuple[int, Future[Rows] | None]]:
        for number, items in units:
            if items[0].kind == "video":
                frames = self._frames(items[0])
                while batch := list(islice(frames, self._batch)):
                    yield number, self._pool.submit(self._copy_and_infer, batch)
            else:
                for start in range(0, len(items), self._batch):
                    yield number, self._pool.submit(self._read_and_infer, items[start : start + self._batch])
            yield number, None

    def _frames(self, video: Item) -> Iterator[Frame]:
        """Yield each frame that is to be labelled, on the caller's thread."""
        index = -1
        try:
            for index, image in enumerate(self._open_video(Path(video.path))):
                if index % self._every == 0:
                    item = Item(f"{video.id}#{index:06d}", video.path)
                    yield Frame(item, (image.shape[1], image.shape[0]), self._detector.preprocess(image))
        except InputError as error:
            shown = video.id if index < 0 else f"{video.id}#{index + 1:06d}"
            yield Frame.unread(Item(shown, video.path), error)

    def _read_and_infer(self, items: list[Item]) -> Rows:
        batch = self._buffer()
        with image_lines_dropped():  # once a batch: to open and close descriptors for each image takes longer
            frames = [self._read(item, out) for item, out in zip(items, batch, strict=False)]
        return self._infer(frames, batch)

    def _read(self, item: Item, out: UInt8Array) -> Frame:
        try:
            image = read_item(item)
            return Frame(item, (image.shape[1], image.shape[0]), self._detector.preprocess(image, out))
        except InputError as error:
            return Frame.unread(item, error, out)

    def _copy_and_infer(self, frames: list[Frame]) -> Rows:
        batch = self._buffer()
        for frame, out in zip(frames, batch, strict=False):
            out[:] = 0 if frame.pixels is None else frame.pixels
        return self._infer(frames, batch)

    def _buffer(self) -> UInt8Array:
        """Return the batch of this thread."""
        found: UInt8Array | None = getattr(self._buffers, "batch", None)
        if found is None:
            found = self._buffers.batch = np.zeros(self._shape, np.uint8)
        return found

    def _infer(self, frames: list[Frame], batch: UInt8Array) -> Rows:
        batch[len(frames) :] = 0
        found = self._detector.detect_preprocessed_batch(batch, [frame.size or (1, 1) for frame in frames])
        return Rows(
            ids=[frame.item.id for frame in frames],
            paths=[frame.item.path for frame in frames],
            sizes=[frame.size for frame in frames],
            found=[self._none if frame.pixels is None else one for frame, one in zip(frames, found, strict=True)],
            errors=[frame.error for frame in frames],
        )

    def __enter__(self) -> Labeller:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def read_item(item: Item) -> UInt8Array:
    """Return an image as (H, W, 3) uint8 BGR, upright.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    if item.kind == "file":
        return read_image(Path(item.path))
    name, data = Path(item.id), member_bytes(item)
    check_image_bytes(name, data)
    return decode_image(name, data)


def member_bytes(item: Item) -> bytes:
    """Return the bytes of a member of a tar.

    Raises:
        InputError: the tar cannot be read or ends before them, or they are more than any image has.
    """
    check_stored_size(Path(item.id), item.size)
    try:
        with open(item.path, "rb") as tar:  # noqa: PTH123 - a Path would be made of each of millions
            tar.seek(item.offset)
            data = tar.read(item.size)
    except OSError as error:
        raise InputError(f"{item.id} cannot be read ({error.strerror or error})", wanted="an image") from error
    if len(data) < item.size:
        raise InputError(
            f"{item.id} is truncated",
            got=f"{len(data)} bytes",
            wanted=f"{item.size} bytes",
            do="Copy or download the file again.",
        )
    return data
