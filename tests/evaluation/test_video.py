from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.evaluation.video import evaluate_video, read_lines

NAMES = ("stop", "yield")


def video_objects(*frames) -> LabelledSet:
    samples = tuple(
        Sample(
            Path(f"{number}.png"),
            np.array([box for box, _ in objects], np.float32).reshape(-1, 4),
            np.array([label for _, label in objects], np.int64),
            np.zeros(len(objects), bool),
            np.zeros(len(objects)),
        )
        for number, objects in enumerate(frames)
    )
    return LabelledSet(NAMES, samples, "video truth")


def write(path: Path, *lines) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def line(frame, *detections):
    entries = [{"box": box, "score": score, "class_id": 9, "label": label} for box, score, label in detections]
    return {"frame": frame, "source": "video.avi", "t": frame / 25, "detections": entries}


def test_frames_are_matched_by_number_and_classes_by_label(tmp_path):
    truth = video_objects([([0, 0, 10, 10], 0)], [([5, 5, 20, 20], 1)], [([0, 0, 8, 8], 0)])
    lines = write(
        tmp_path / "d.jsonl",
        line(1, ([5, 5, 20, 20], 0.8, "yield")),
        line(0, ([0, 0, 10, 10], 0.9, "stop")),
    )
    result = evaluate_video(lines, truth)
    assert [entry.ap for entry in result.classes] == [0.5, 1.0]  # frame 2 has no line: its stop sign is missed
    assert result.mean_ap == 0.75


def test_lines_are_read_best_first_without_unknown_labels(tmp_path):
    lines = write(
        tmp_path / "d.jsonl",
        line(4, ([0, 0, 1, 1], 0.2, "stop"), ([1, 1, 2, 2], 0.7, "yield"), ([3, 3, 4, 4], 0.9, "cow")),
        line(5),
    )
    found = read_lines(lines, NAMES)
    assert found[4].scores.tolist() == pytest.approx([0.7, 0.2])
    assert found[4].class_ids.tolist() == [1, 0]
    assert found[4].boxes.tolist() == [[1, 1, 2, 2], [0, 0, 1, 1]]
    assert len(found[5]) == 0


@pytest.mark.parametrize(
    "text", ["no json\n", "[]\n", '{"frame": 1}\n', '{"frame": 0, "detections": [{"box": [1]}]}\n']
)
def test_damaged_line_is_named(tmp_path, text):
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(line(0)) + "\n" + text)
    with pytest.raises(InputError, match=r"d\.jsonl, line 2 is damaged: got .*; wanted .*\"frame\""):
        read_lines(path, NAMES)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsonl cannot be read.*wanted JSON lines written by ssd-edge run"):
        read_lines(tmp_path / "absent.jsonl", NAMES)


def test_lines_of_a_longer_film_are_refused(tmp_path):
    lines = write(tmp_path / "d.jsonl", line(3, ([0, 0, 10, 10], 0.9, "stop")))
    with pytest.raises(InputError, match="does not match video truth: got frame 3; wanted frames 0 to 0"):
        evaluate_video(lines, video_objects([([0, 0, 10, 10], 0)]))
