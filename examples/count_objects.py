"""Count what a camera, video or folder shows: ``python count_objects.py SOURCE MODEL``.

For each label: how many tracks there were (an object that was lost and found again has two), in how many frames it was
seen, and the most at a time. For one label alone: ``detections.filter(labels="person")``.
"""

from __future__ import annotations

import sys
from collections import Counter

import ssd_edge as ssd


def main(source: str, model: str) -> None:
    """Print a line for each label."""
    seen: Counter[str] = Counter()
    most: Counter[str] = Counter()
    tracks: Counter[str] = Counter()
    highest = 0
    with ssd.load(model, score_threshold=0.5) as detect, ssd.stream(source, detect, track=True) as frames:
        for _frame, detections in frames:
            ids = [d.track_id or 0 for d in detections]
            tracks.update(d.label for d in detections if (d.track_id or 0) > highest)  # ids of new tracks are higher
            highest = max([highest, *ids])
            for label, count in Counter(detections.labels).items():
                seen[label] += 1
                most[label] = max(most[label], count)
    for label, frames_seen in seen.most_common():
        print(f"{label}: {tracks[label]} tracks, in {frames_seen} frames, at most {most[label]} at a time")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} SOURCE MODEL")
    main(*sys.argv[1:])
