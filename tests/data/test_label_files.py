from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.label_files import (
    checked_class_names,
    existing_image,
    image_with_stem,
    inner_path,
    read_class_file,
    read_label_text,
)
from tests.data.folders import draw

ORIGIN = Path("list.txt")


@pytest.mark.parametrize("name", ["../a.jpg", "x/../../a", "/etc/passwd", "C:\\a.jpg", "..\\a.jpg", "", "a\0b"])
def test_names_that_lead_outside_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"list\.txt names a file outside its folder"):
        inner_path(Path("data"), name, origin=ORIGIN)


def test_names_inside_subfolders_are_fine() -> None:
    assert inner_path(Path("data"), "x/a..b.jpg", origin=ORIGIN) == Path("data/x/a..b.jpg")


def test_a_huge_label_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room
    with pytest.raises(InputError, match=r"a\.xml is too large for a label file: got 1099511627776 bytes"):
        read_label_text(path)


def test_missing_and_undecodable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt cannot be read: got No such file"):
        read_label_text(tmp_path / "none.txt")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.txt is not text in UTF-8"):
        read_label_text(latin)


def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfcat\r\n\r\ndog \n")
    assert read_class_file(path) == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "lists no class"),
        (["a", "b", "a"], "lists a class twice: got a"),
        (["BACKGROUND", "a"], "lists 'BACKGROUND' as a class"),
        (["__background__", "a"], "background is added by the model"),
    ],
)
def test_bad_class_lists_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_class_names(names, origin=ORIGIN)


def test_images_are_found_by_stem_whatever_their_suffix(tmp_path: Path) -> None:
    image = draw(tmp_path / "v1.2.png")
    assert image_with_stem(tmp_path, "v1.2", origin=ORIGIN) == image
    upper = draw(tmp_path / "b.JPG")
    assert image_with_stem(tmp_path, "b", origin=ORIGIN) == upper
    with pytest.raises(InputError, match=r"list\.txt names an image that is missing: got nothing at .*none\.\*"):
        image_with_stem(tmp_path, "none", origin=ORIGIN)


def test_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list\.txt has no image: got nothing at .*a\.jpg"):
        existing_image(tmp_path / "a.jpg", origin=ORIGIN)
