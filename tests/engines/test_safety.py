"""However a build ends, no wrong pair of engine and manifest is accepted: killed, out of space, interrupted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine
from tests.backends.tiny_onnx import SIZE, write_tiny_onnx
from tests.engines.killed_build import build

ROOT = Path(__file__).parents[2]


def left_edge(engine: Path) -> int:
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    cv2.rectangle(picture, (16, 16), (31, 31), (255, 255, 255), -1)
    with open_detector(engine) as detector:
        return round(float(detector.detect(picture).boxes[0, 0]))


def outcome(engine: Path) -> str:
    """Which pair lies there: the old one, the new one, or one that is refused by name."""
    try:
        found = left_edge(engine)
    except ArtifactError as error:
        named = f"{engine} is not the file that its manifest describes" in str(error) and "ssd-edge build" in str(error)
        return "refused" if named else str(error)
    claimed = EngineManifest.load(manifest_path(engine)).options.scheme
    assert found == {"0.0": 16, "0.1": 22}[claimed]
    return {"0.0": "old", "0.1": "new"}[claimed]


def test_a_build_that_is_killed_at_any_moment(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.engines.killed_build", str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=300
    )
    count = int(done.stdout)
    outcomes = [outcome(tmp_path / str(number) / "m.engine") for number in range(1, count + 1)]
    assert count > 8
    assert list(dict.fromkeys(outcomes)) == ["old", "refused", "new"]  # each once, in this order
    for number in (1, outcomes.index("refused") + 1):
        build(tmp_path / str(number), 0.1)
        assert outcome(tmp_path / str(number) / "m.engine") == "new"


@pytest.mark.parametrize("full", [".json", ".engine"])
def test_no_space_for_either_file_leaves_the_old_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    onnx = write_tiny_onnx(tmp_path / "bright.onnx")
    engine = build_engine(onnx).engine
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace, write_text = Path.replace, Path.write_text

    def no_space(write):
        def attempt(self: Path, *arguments: object, **options: object) -> object:
            if self.name.endswith(f".partial{full}"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, *arguments, **options)

        return attempt

    monkeypatch.setattr(Path, "write_text", no_space(write_text))
    monkeypatch.setattr(Path, "replace", no_space(replace))
    with pytest.raises(InputError, match=r"cannot be written .No space left on device.\. Free some space"):
        build_engine(onnx, force=True)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert left_edge(engine) == 16
