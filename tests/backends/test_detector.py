from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.detector import Detector, open_detector, usable_here
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.images import write_image
from tests.backends.tiny_onnx import FOUND_CLASS, SCORE, write_tiny_onnx


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


def test_boxes_are_in_the_pixels_of_the_picture_that_was_given(tiny_onnx: Path) -> None:
    box = (320, 160, 640, 480)
    with open_detector(tiny_onnx) as detector:
        found = detector.detect(scene(1280, 640, box))
    np.testing.assert_allclose(found.boxes, [box], atol=10)  # a cell of the 64 x 64 input is 20 x 10 pixels
    assert found.scores.tolist() == [SCORE]
    assert found.class_ids.tolist() == [FOUND_CLASS]


def test_only_valid_rows_come_out(tiny_onnx: Path) -> None:
    with open_detector(tiny_onnx) as detector:
        assert len(detector.detect(scene(100, 100, (0, 0, 0, 0)))) == 0


def test_boxes_are_clipped_to_the_frame(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "shifted.onnx", shift=0.5)
    with open_detector(path) as detector:
        found = detector.detect(scene(128, 64, (64, 32, 128, 64)))
    np.testing.assert_array_equal(found.boxes, [[128, 64, 128, 64]])


def test_a_batch_of_pictures_of_any_size_equals_one_by_one(tiny_onnx: Path) -> None:
    images = [scene(90, 60, (30, 20, 60, 40)), scene(640, 480, (0, 0, 0, 0)), scene(64, 64, (1, 2, 3, 4))]
    with open_detector(tiny_onnx) as detector:
        together = detector.detect_batch(images)
        alone = [detector.detect(image) for image in images]
        assert detector.detect_batch([]) == []
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    assert [len(found) for found in together] == [1, 0, 1]


@pytest.mark.parametrize(("threshold", "count"), [(SCORE - 0.01, 1), (SCORE, 0)])
def test_the_users_threshold_is_strict(tiny_onnx: Path, threshold: float, count: int) -> None:
    with open_detector(tiny_onnx, score_threshold=threshold) as detector:
        assert len(detector.detect(scene(64, 64, (0, 0, 9, 9)))) == count


@pytest.mark.parametrize("image", [scene(1, 1, (0, 0, 1, 1)), np.full((5, 7, 3), 255, np.uint8)])
def test_a_single_pixel_and_a_plain_image_are_images(tiny_onnx: Path, image: np.ndarray) -> None:
    with open_detector(tiny_onnx) as detector:
        found = detector.detect(image)
    np.testing.assert_array_equal(found.boxes, [[0, 0, image.shape[1], image.shape[0]]])


def test_what_is_no_8_bit_bgr_image_is_refused(tiny_onnx: Path) -> None:
    with open_detector(tiny_onnx) as detector:
        with pytest.raises(InputError, match="has no pixels"):
            detector.detect(np.zeros((0, 4, 3), np.uint8))
        with pytest.raises(InputError, match="is not an 8-bit BGR image: got float64"):
            detector.detect(np.zeros((4, 4, 3)))  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"got uint8 \(5, 7\)"):
            detector.detect([scene(9, 9, (0, 0, 9, 9)), np.full((5, 7), 255, np.uint8)])
        with pytest.raises(InputError, match="the argument is not an image: got set"):
            detector.detect({1, 2})  # type: ignore[call-overload]


def test_every_kind_of_image_and_lists_of_them(tiny_onnx: Path, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = scene(90, 60, (30, 20, 60, 40))
    write_image(tmp_path / "a.png", image)
    kinds = [image, tmp_path / "a.png", str(tmp_path / "a.png"), pillow.fromarray(image)]
    with open_detector(tiny_onnx) as detector:
        wanted = detector.detect(image)
        assert detector(image)[0] == wanted[0]
        for found in (*detector(kinds), *detector(tuple(kinds)), *(detector(kind) for kind in kinds)):
            assert [found[0].box, found[0].label] == [wanted[0].box, "dog"]
        assert detector([]) == []


@dataclass
class Counting:
    """A backend that keeps the sizes of its batches."""

    backend: OrtBackend
    batch_limits: tuple[int, int | None]
    sizes: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def infer(self, batch: np.ndarray) -> RawOutputs:
        self.sizes.append(len(batch))
        return self.backend.infer(batch)


@pytest.mark.parametrize(
    ("limits", "count", "sizes"),
    [((1, None), 40, [32, 8]), ((1, 3), 7, [3, 3, 1]), ((2, 4), 5, [4, 2]), ((4, 4), 1, [4]), ((1, 1), 2, [1, 1])],
)
def test_a_list_is_run_in_batches_as_the_runtime_takes_them(
    tiny_onnx: Path, limits: tuple[int, int | None], count: int, sizes: list[int]
) -> None:
    images = [scene(64 + number, 64, (0, 0, 8 + number, 64)) for number in range(count)]
    backend = Counting(OrtBackend(tiny_onnx), limits)
    with Detector(backend) as detector:  # type: ignore[arg-type]
        found = detector.detect(images)
        assert backend.sizes == sizes
        alone = [detector.detect(image) for image in images]
    assert len(found) == count
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_what_is_known_of_a_detector(tiny_onnx: Path) -> None:
    with open_detector(tiny_onnx, score_threshold=0.3) as detector:
        assert detector.path == tiny_onnx
        assert detector.class_names == ("cat", "dog", "Fußgänger")
        assert detector.input_size == (64, 64)
        assert detector.score_threshold == 0.3
        assert "3 classes, 64 x 64" in repr(detector)
    with open_detector(tiny_onnx) as detector:
        assert detector.score_threshold == 0.01  # the model's own


def test_eight_threads_share_a_detector(tiny_onnx: Path) -> None:
    images = [scene(64, 64, (number, 0, 64, 64)) for number in range(40)]
    with open_detector(tiny_onnx) as detector, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(detector.detect, images))
        together = list(threads.map(detector.detect, [images[:5]] * 8))
    assert [one[0].box[0] for one in found] == list(range(40))
    assert all([one[0].box[0] for one in group] == list(range(5)) for group in together)


def test_closing_while_others_detect_is_an_error_of_ours(tiny_onnx: Path) -> None:
    detector = open_detector(tiny_onnx)
    image = scene(64, 64, (0, 0, 9, 9))

    def work(_: int) -> None:
        with pytest.raises(ArtifactError, match="is closed"):
            while True:
                detector.detect(image)

    with ThreadPoolExecutor(4) as threads:
        busy = threads.map(work, range(4))
        detector.close()
        detector.close()
        list(busy)


def test_warming_up_leaves_the_detector_as_it_was(tiny_onnx: Path) -> None:
    with open_detector(tiny_onnx) as detector:
        detector.warm_up()
        assert len(detector.detect(scene(64, 64, (0, 0, 9, 9)))) == 1


@pytest.mark.parametrize(
    ("name", "do"),
    [("best.pt", r"ssd-edge export .*best\.pt"), ("model.tflite", "ssd-edge export$"), ("model", "ssd-edge export$")],
)
def test_another_kind_of_file_is_refused_with_the_command(tmp_path: Path, name: str, do: str) -> None:
    with pytest.raises(InputError, match=do):
        open_detector(tmp_path / name)


@pytest.mark.parametrize("threshold", [-0.1, 1.0])
def test_a_threshold_out_of_range_is_refused(tiny_onnx: Path, threshold: float) -> None:
    with pytest.raises(InputError, match="score threshold is out of range"):
        open_detector(tiny_onnx, score_threshold=threshold)


def test_an_engine_without_a_manifest_is_not_usable_here(tmp_path: Path) -> None:
    assert not usable_here(tmp_path / "absent.engine")


def test_leaving_the_block_closes_the_backend(tiny_onnx: Path) -> None:
    backend = OrtBackend(tiny_onnx)
    with Detector(backend):
        pass
    assert backend._session is None


def test_detection_never_imports_torch(tiny_onnx: Path) -> None:
    program = (
        "import sys, pathlib, numpy as np\n"
        "from ssd_edge.backends.detector import open_detector\n"
        f"open_detector(pathlib.Path({str(tiny_onnx)!r})).detect(np.zeros((9, 9, 3), np.uint8))\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
