from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.label_files import (
    ImageFolders,
    checked_class_names,
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


def test_absolute_names_inside_the_data_set_are_fine(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for root in (tmp_path, tmp_path / "link"):
        for name in (f"{tmp_path}/images/a.jpg", f"{root}/images/a.jpg"):
            assert inner_path(root / "images", name, origin=ORIGIN, root=root) == root / "images" / "a.jpg"
    with pytest.raises(InputError, match="names a file outside its folder"):
        inner_path(tmp_path, f"{tmp_path}x/a.jpg", origin=ORIGIN)


def test_a_huge_label_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room
    with pytest.raises(InputError, match=r"a\.xml is too large for a label file: got 1099511627776 bytes"):
        read_label_text(path)


def test_missing_and_undecodable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt cannot be read .No such file"):
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
        (["__background__", "a"], "the model adds the background itself"),
    ],
)
def test_bad_class_lists_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_class_names(names, origin=ORIGIN)


def test_images_are_found_by_stem_whatever_their_suffix(tmp_path: Path) -> None:
    image, upper, inner = (draw(tmp_path / name) for name in ("v1.2.png", "b.JPG", "x/c.jpg"))
    draw(tmp_path / "b.png")
    draw(tmp_path / "._b.jpg")
    folders = ImageFolders(tmp_path / "nowhere", tmp_path)
    assert [folders.find(name) for name in ("v1.2", "b", "x/c", "b.JPG")] == [image, upper, inner, upper]
    assert [folders.find(name) for name in ("v1", "none", "", "x", "../b", str(image), "a\0")] == [None] * 7
