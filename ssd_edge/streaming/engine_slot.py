"""The engine of a run: replaced between frames while the run goes on, and put back where the new one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import give_back
from ssd_edge.streaming.batcher import Captured

_PROBATION = 8  # batches that a new engine must infer before the old one is closed


class EngineSlot:
    """Holds the detector that infers; any thread may call.

    Args:
        detector: closed here once it was replaced for good; otherwise by its owner.
        owns: whether the slot is the owner.
        labels: classes that the run chose by name: a new engine must know them.
        score_threshold: in place of the detector's own; None for that.
    """

    def __init__(
        self,
        detector: Detector,
        labels: frozenset[str] = frozenset(),
        *,
        owns: bool = False,
        score_threshold: float | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._current, self._labels = detector, labels
        self._score_threshold = score_threshold
        self._previous: Detector | None = None
        self._probation = 0
        self._busy: dict[int, tuple[Detector, float]] = {}  # by thread: what it runs, and since when
        self._owned: list[Detector] = [detector] if owns else []
        self._is_closed = False

    @property
    def detector(self) -> Detector:
        """The detector that takes the next batch."""
        return self._current

    def preprocess(self, image: UInt8Array) -> UInt8Array:
        """Return an image at the current engine's input size."""
        return self._current.preprocess(image)

    def busy_s(self) -> float:
        """Return for how many seconds the oldest inference in flight has run; 0 where there is none."""
        now = time.monotonic()
        return max((now - began for _, began in list(self._busy.values())), default=0.0)

    def detect(self, batch: Sequence[Captured]) -> list[Detections]:
        """Return what is found in each frame; by the engine before, where the new one fails at its beginning.

        Raises:
            SsdEdgeError: the engine fails.
        """
        detector = self._begin()
        try:
            found = _detect(detector, batch, self._score_threshold)
        except Exception as error:
            if not self._undo(detector, error):
                raise
        else:
            self._passed(detector)
            return found
        finally:
            self._end()
        return self.detect(batch)

    def replace(self, opener: Callable[[], Detector], labels: frozenset[str] | None = None) -> bool:
        """Open and warm up another engine beside the current one, and let it take over; False where it cannot.

        Args:
            opener: opens the new engine.
            labels: classes that it must know; None for those of the one before.
        """
        needed = self._labels if labels is None else labels
        try:
            new = opener()
        except SsdEdgeError as error:
            log.error(f"the engine stays {self._current.path}: {error}")
            return False
        try:
            _check(new, needed)
            new.warm_up()
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises leaves the old engine where it is
            new.close()
            log.error(f"the engine stays {self._current.path}: {new.path} failed ({error})")
            return False
        self._drop_previous()
        with self._lock:
            if self._is_closed:
                new.close()
                return False
            self._previous, self._current, self._probation = self._current, new, _PROBATION
            self._owned.append(new)
            self._labels = needed
        log.info(f"the engine is now {new.path}, in place of {self._previous.path}")
        return True

    def require(self, labels: frozenset[str]) -> None:
        """Note the classes that engines to come must know."""
        with self._lock:
            self._labels = labels

    def close(self) -> None:
        """Close the engines that were opened here; one that is still in use is left to the end of the process."""
        with self._lock:
            running = {id(detector) for detector, _ in self._busy.values()}
            owned, self._owned, self._is_closed = self._owned, [], True
        for detector in owned:
            if id(detector) not in running:
                detector.close()

    def _begin(self) -> Detector:
        with self._lock:
            self._busy[threading.get_ident()] = (self._current, time.monotonic())
            return self._current

    def _end(self) -> None:
        with self._idle:
            self._busy.pop(threading.get_ident(), None)
            self._idle.notify_all()

    def _passed(self, detector: Detector) -> None:
        if self._previous is None or detector is not self._current:
            return
        with self._lock:
            self._probation -= 1
            over = self._probation == 0
        if over:
            self._drop_previous()

    def _undo(self, failed: Detector, error: Exception) -> bool:
        """Put the engine before back; False where there is none."""
        with self._lock:
            if failed is not self._current:
                return True  # another thread has put it back
            if self._previous is None:
                return False
            self._current, self._previous = self._previous, None
        log.error(f"{failed.path} failed ({error}); continuing with {self._current.path}")
        threading.Thread(target=self._close_idle, args=(failed,), daemon=True).start()
        return True

    def _drop_previous(self) -> None:
        with self._lock:
            previous, self._previous = self._previous, None
        if previous is not None:
            threading.Thread(target=self._close_idle, args=(previous,), daemon=True).start()

    def _close_idle(self, detector: Detector) -> None:
        with self._idle:
            self._idle.wait_for(lambda: all(used is not detector for used, _ in self._busy.values()))
            self._owned = [other for other in self._owned if other is not detector]
        detector.close()
        give_back()


def _check(new: Detector, labels: frozenset[str]) -> None:
    missing = sorted(labels - set(new.class_names))
    if missing:
        raise InputError(
            f"{new.path} has no class {', '.join(map(repr, missing))}",
            wanted="a model with the classes that the run keeps or blurs",
        )


def _detect(detector: Detector, batch: Sequence[Captured], score_threshold: float | None) -> list[Detections]:
    width, height = detector.input_size
    pixels = [
        captured.pixels if captured.pixels.shape[:2] == (height, width) else detector.preprocess(captured.frame.image)
        for captured in batch
    ]
    return detector.detect_preprocessed_batch(pixels, [_size(captured.frame) for captured in batch], score_threshold)


def _size(frame: Frame) -> tuple[int, int]:
    return frame.width, frame.height
