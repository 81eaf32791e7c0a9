"""What lies between two threads of the pipeline."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, Literal, TypeVar

Policy = Literal["latest", "fifo"]
T = TypeVar("T")


class FrameBuffer(Generic[T]):
    """A bounded buffer for one or more producers and consumers.

    Args:
        policy: what :meth:`put` does when the buffer is full: ``latest`` drops the oldest item and counts it, so that
            a consumer always gets what happened last; ``fifo`` waits, so that nothing is lost.
        capacity: items that fit in.
    """

    def __init__(self, policy: Policy, capacity: int = 1) -> None:
        self._policy, self._capacity = policy, capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._abandoned = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items that were dropped to make room for later ones."""
        return self._dropped

    @property
    def exhausted(self) -> bool:
        """Whether nothing lies here and nothing will come."""
        with self._changed:
            return self._abandoned or (self._finished and not self._items)

    def put(self, item: T) -> bool:
        """Add an item; False where nobody wants items any more, and the producer should stop."""
        with self._changed:
            if self._policy == "fifo":
                self._changed.wait_for(lambda: self._abandoned or len(self._items) < self._capacity)
            elif len(self._items) == self._capacity:
                self._items.popleft()
                self._dropped += 1
            if self._abandoned:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Return the oldest item; None where nothing will come any more, or came within the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._finished or bool(self._items), timeout_s)
            if self._abandoned or not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """Say that nothing more will be put; what lies here can still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Throw away what lies here and release everyone who waits, on either side."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()
