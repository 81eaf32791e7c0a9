from __future__ import annotations

import itertools

import numpy as np

from ssd_edge.scenes.drive import Drive


def test_signs_come_nearer_smoothly() -> None:
    drive = Drive(96, 160, length=12, seed=2)
    views = [drive.view(step * 0.25, step / 30) for step in range(12)]
    for before, after in itertools.pairwise(views):
        labels = [item.label for item in before.objects]
        for item in before.objects:
            same = [other for other in after.objects if other.label == item.label]
            if labels.count(item.label) == 1 and len(same) == 1 and item.box[0] > 0 and item.box[2] < 160:
                assert same[0].box[3] - same[0].box[1] >= item.box[3] - item.box[1] - 1.5
                assert np.abs(np.array(same[0].box) - item.box).max() <= 12
