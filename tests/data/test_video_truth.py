from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.video_truth import read_video_truth, truth_line, truth_path

NAMES = ("cat", "dog")


def test_lines_read_back(tmp_path: Path) -> None:
    path = truth_path(tmp_path / "video.mp4")
    objects = [LabelledObject.of_box("dog", (1, 2, 3.5, 4)), LabelledObject.of_box("cat", (0, 0, 9, 9), difficult=True)]
    path.write_text(truth_line(0, 0.0, "video.mp4", objects, NAMES) + truth_line(1, 1 / 30, "video.mp4", [], NAMES))
    first, second = read_video_truth(path, NAMES).samples
    assert path.name == "video.truth.jsonl"
    assert first.boxes.tolist() == [[1, 2, 3.5, 4], [0, 0, 9, 9]]
    assert (first.class_ids.tolist(), first.difficult.tolist(), len(second)) == ([1, 0], [False, True], 0)


def test_the_lines_are_those_of_run() -> None:
    fields = json.loads(truth_line(3, 0.1, "a.mp4", [LabelledObject.of_box("dog", (1, 2, 3, 4))], NAMES))
    (found,) = fields.pop("detections")
    assert fields == {"frame": 3, "source": "a.mp4", "t": 0.1}
    assert found == {"box": [1, 2, 3, 4], "score": 1.0, "class_id": 1, "label": "dog", "difficult": False}


GOOD = '{"frame": 0, "source": "a", "detections": []}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("{\n", "line 1 is not valid JSON"),
        ("[]\n", "line 1 is damaged"),
        (GOOD + GOOD, "line 2 is out of order: got frame 0; wanted frame 1"),
        (GOOD.replace("[]", '[{"box": [1, 2]}]'), "frame 0 has a damaged object"),
        (GOOD.replace("[]", "[5]"), "frame 0 has a damaged object"),
        (GOOD.replace("[]", f'[{{"box": [1, 2, 3, {10**400}], "label": "dog"}}]'), "frame 0 has a damaged object"),
        (
            GOOD.replace("[]", '[{"box": [1, 2, 3, 4], "label": "cow"}]'),
            "frame 0: object 1 .cow. has an unknown class",
        ),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"t\.jsonl.*{message}"):
        read_video_truth(path, NAMES)
