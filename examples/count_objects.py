"""Count what a camera, video or folder shows: ``python count_objects.py SOURCE MODEL``.

For each label: how many different objects there were, in how many frames it was seen, and the most at a time. For one
label alone: ``detections.filter(labels="person")``.
"""

from __future__ import annotations

import sys
from collections import Counter

import ssd_edge as ssd


def main(source: str, model: str) -> None:
    """Print a line for each label."""
    seen: Counter[str] = Counter()
    most: Counter[str] = Counter()
    objects: set[tuple[str, int | None]] = set()
    with ssd.load(model, score_threshold=0.5) as detect, ssd.stream(source, detect, track=True) as frames:
        for _frame, detections in frames:
            objects.update((d.label, d.track_id) for d in detections)
            for label, count in Counter(detections.labels).items():
                seen[label] += 1
                most[label] = max(most[label], count)
    for label, frames_seen in seen.most_common():
        count = sum(name == label for name, _ in objects)
        print(f"{label}: {count} objects, in {frames_seen} frames, at most {most[label]} at a time")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} SOURCE MODEL")
    main(*sys.argv[1:])
