"""Count what a camera, video or folder shows: ``python count_objects.py SOURCE MODEL``.

For each label: in how many frames it was seen, and the most at a time. Objects are not followed from frame to frame, so
this is not the number of different ones. For one label alone: ``detections.filter(labels="person")``.
"""

from __future__ import annotations

import sys
from collections import Counter

import ssd_edge as ssd


def main(source: str, model: str) -> None:
    """Print a line for each label."""
    seen: Counter[str] = Counter()
    most: Counter[str] = Counter()
    with ssd.load(model, score_threshold=0.5) as detect, ssd.stream(source, detect) as frames:
        for _frame, detections in frames:
            for label, count in Counter(detections.labels).items():
                seen[label] += 1
                most[label] = max(most[label], count)
    for label, frames_seen in seen.most_common():
        print(f"{label}: in {frames_seen} frames, at most {most[label]} at a time")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} SOURCE MODEL")
    main(*sys.argv[1:])
