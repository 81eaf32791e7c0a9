from __future__ import annotations

import os
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import as_bgr, list_images, load_image, passed_over, read_image, write_image
from ssd_edge.core.limits import VARIABLE


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), (9, 9), 3)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF block (CIPA DC-008) that holds the orientation tag only."""
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00"
    tiff += orientation.to_bytes(4, "little") + b"\x00" * 4
    block = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def png_that_says(side: int) -> bytes:
    """A PNG of one pixel whose header says another size."""
    data = bytearray(cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def test_png_returns_the_same_pixels(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(tmp_path / "a.png", photo)
    assert np.array_equal(read_image(tmp_path / "a.png"), photo)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "dot.png", np.full((1, 1, 3), 7, np.uint8))
    assert read_image(tmp_path / "dot.png").tolist() == [[[7, 7, 7]]]


def test_grey_alpha_and_16_bits_become_bgr(tmp_path: Path, photo: np.ndarray) -> None:
    grey = photo[..., 0]
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    cv2.imwrite(str(tmp_path / "rgba.png"), np.dstack([photo, grey]))
    cv2.imwrite(str(tmp_path / "deep.png"), photo.astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.dstack([grey] * 3))
    assert np.array_equal(read_image(tmp_path / "rgba.png"), photo)
    assert np.array_equal(read_image(tmp_path / "deep.png"), photo)


@pytest.mark.parametrize(("mode", "suffix", "near"), [("CMYK", ".jpg", 3), ("P", ".png", 0), ("LA", ".png", 0)])
def test_pictures_of_print_and_of_the_web_look_as_pillow_shows_them(
    tmp_path: Path, photo: np.ndarray, mode: str, suffix: str, near: float
) -> None:
    pillow = pytest.importorskip("PIL.Image")
    path = tmp_path / f"a{suffix}"
    pillow.fromarray(photo[..., ::-1]).convert(mode).save(path)
    shown = np.array(pillow.open(path).convert("RGB"))[..., ::-1]
    assert np.abs(read_image(path).astype(int) - shown).max() <= near


def test_exif_orientation_is_applied(tmp_path: Path, photo: np.ndarray) -> None:
    jpeg = cv2.imencode(".jpg", photo)[1].tobytes()
    (tmp_path / "turned.jpg").write_bytes(with_orientation(jpeg, 6))
    (tmp_path / "plain.jpg").write_bytes(jpeg)
    turned = cv2.rotate(read_image(tmp_path / "plain.jpg"), cv2.ROTATE_90_CLOCKWISE)
    assert np.array_equal(read_image(tmp_path / "turned.jpg"), turned)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_file_is_refused(tmp_path: Path, photo: np.ndarray, suffix: str, share: float) -> None:
    data = cv2.imencode(suffix, photo)[1].tobytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="is truncated: got .* bytes without an end marker; wanted a complete image"):
        read_image(path)


def test_truncation_behind_a_thumbnail_is_seen(tmp_path: Path, photo: np.ndarray) -> None:
    thumbnail = cv2.imencode(".jpg", photo[::4, ::4])[1].tobytes()
    jpeg = cv2.imencode(".jpg", photo)[1].tobytes()
    block = b"Exif\x00\x00" + thumbnail
    whole = jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[:-200])
    with pytest.raises(InputError, match="is truncated"):
        read_image(path)
    path.write_bytes(whole)
    assert read_image(path).shape == photo.shape


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty: wanted an image file"), (b"hello", "is not an image that OpenCV can read: got 5 bytes")],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_image(path)


def test_bytes_behind_the_end_do_not_matter(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "tail.png"
    path.write_bytes(cv2.imencode(".png", photo)[1].tobytes() + b"x" * 500)
    assert np.array_equal(read_image(path), photo)


def test_picture_too_large_for_opencv_is_named(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_says(40_000))
    with pytest.raises(InputError, match="huge.png has too many pixels: got 40000 x 40000; wanted at most"):
        read_image(path)


def test_name_that_is_not_utf_8_is_written(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    write_image(path, photo)
    assert np.array_equal(read_image(path), photo)


def test_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.jpg cannot be read .No such file or directory."):
        read_image(tmp_path / "none.jpg")


def test_unknown_format_is_not_written(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"a.xyz cannot be written: got suffix '.xyz'"):
        write_image(tmp_path / "a.xyz", photo)
    assert not list(tmp_path.iterdir())


def test_folder_lists_pictures_by_name(tmp_path: Path, photo: np.ndarray) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "._b.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png"]


def test_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no images: got 0 other files"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        list_images(tmp_path / "nowhere")


def test_images_only_in_folders_inside_are_named(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="contains no images: got 1 other file and 1 folder without images"):
        list_images(tmp_path)
    for name in ("c/a.jpg", "b/deep/a.jpg", ".hidden/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        list_images(tmp_path)
    assert caught.value.got == "images only in folders inside it: b, c"
    assert caught.value.do == f"Give such a folder: {tmp_path / 'b'}"


def test_what_is_passed_over_in_a_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.jpg").touch()
    for name, target in (("gone.png", "nowhere"), ("there.png", "a.jpg"), ("gone.txt", "nowhere")):
        (tmp_path / name).symlink_to(tmp_path / target)
    assert passed_over(tmp_path) == ([tmp_path / "a", tmp_path / "b.jpg"], [tmp_path / "gone.png"])


def test_arrays_of_cameras_become_bgr(photo: np.ndarray) -> None:
    assert as_bgr(photo, origin="camera") is not None
    assert np.shares_memory(as_bgr(photo, origin="camera"), photo)
    assert np.array_equal(as_bgr(photo[..., :1], origin="c"), np.dstack([photo[..., 0]] * 3))
    assert np.array_equal(as_bgr(photo.astype(np.uint16) << 8, origin="c"), photo)
    assert np.array_equal(as_bgr(np.dstack([photo, photo[..., 0]]), origin="c"), photo)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((0, 5, 3), np.uint8, r"camera 0 has no pixels: got shape \(0, 5, 3\)"),
        ((4, 4, 3), np.float32, "camera 0 is not an image: got float32"),
        ((4, 4, 2), np.uint8, r"camera 0 is not an image: got uint8 \(4, 4, 2\)"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(shape: tuple[int, ...], dtype: type, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_bgr(np.zeros(shape, dtype), origin="camera 0")


def test_an_array_is_taken_as_it_is(photo: np.ndarray) -> None:
    assert np.shares_memory(load_image(photo), photo)


def test_a_path_is_read(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(tmp_path / "a.png", photo)
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(load_image(path), photo)
    with pytest.raises(InputError, match=r"absent\.png cannot be read"):
        load_image(tmp_path / "absent.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_pil_images_are_rgb_and_converted(photo: np.ndarray, mode: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = pillow.fromarray(photo[..., ::-1]).convert(mode)
    taken = load_image(image)
    assert np.array_equal(taken[..., ::-1], np.asarray(image.convert("RGB")))
    assert taken.flags.c_contiguous


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_pil_images_of_more_bits_are_refused(mode: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    with pytest.raises(InputError, match=f"got mode {mode}; wanted an 8-bit mode such as RGB"):
        load_image(pillow.new(mode, (4, 4)))


@pytest.mark.parametrize(
    ("array", "got", "do"),
    [
        (np.zeros((4, 5, 3)), "float64", "astype"),
        (np.zeros((4, 5, 3), np.float32), "float32", "astype"),
        (np.zeros((4, 5, 3), np.uint16), "uint16", "astype"),
        (np.zeros((4, 5), np.uint8), "uint8 (4, 5)", "COLOR_GRAY2BGR"),
        (np.zeros((4, 5, 1), np.uint8), "uint8 (4, 5, 1)", "COLOR_GRAY2BGR"),
        (np.zeros((4, 5, 4), np.uint8), "uint8 (4, 5, 4)", "COLOR_RGBA2BGR"),
        (np.zeros((3, 4, 5), np.uint8), "uint8 (3, 4, 5)", "transpose"),
        (np.zeros((2, 4, 5, 3), np.uint8), "uint8 (2, 4, 5, 3)", "list(images)"),
        (np.zeros((0, 5, 3), np.uint8), "shape (0, 5, 3)", ""),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(array: np.ndarray, got: str, do: str) -> None:
    with pytest.raises(InputError) as refused:
        load_image(array)
    assert got in refused.value.got
    assert do in refused.value.do


def test_other_things_are_no_image() -> None:
    with pytest.raises(InputError, match="the argument is not an image: got NoneType"):
        load_image(None)  # type: ignore[arg-type]


def test_an_image_that_a_raised_limit_lets_pass_and_opencv_does_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "pixels=2G")
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_says(40_000))
    with pytest.raises(InputError, match=r"huge\.png cannot be decoded: got OpenCV's error .*; wanted .*2\^30 pixels"):
        read_image(path)


def test_an_image_that_its_format_cannot_hold_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "wide.jpg"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=r"wide\.jpg cannot be encoded: got uint8 \(1, 70000, 3\)"):
        write_image(path, np.zeros((1, 70_000, 3), np.uint8))  # the sides of a JPEG have 16 bits
    assert [entry.name for entry in tmp_path.iterdir()] == ["wide.jpg"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 3000])
def test_a_folder_that_no_folder_can_be_called_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is not a usable path .File name too long"):
        list_images(tmp_path / name)
