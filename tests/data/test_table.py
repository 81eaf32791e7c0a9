"""Tables of objects: what a row may be, and what is left out where one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import open_dataset, usable_split
from ssd_edge.data.label_files import ImageFolders
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.table import Table, scan_table
from tests.data.folders import draw

HEADER = "filename,class,xmin,ymin,xmax,ymax\n"
ROW = "a.png,cat,10,20,30,40\n"


def table(folder: Path, text: str) -> Table:
    draw(folder / "images" / "a.png")
    path = folder / "objects.csv"
    path.write_text(text, encoding="utf-8")
    return Table(path, ImageFolders(folder / "images", root=folder), False, {}, (path,), "objects")


def scanned(folder: Path, rows: str) -> ScannedSet:
    return scan_table(table(folder, HEADER + rows))


def faults(found: ScannedSet) -> list[tuple[str, str]]:
    return [(fault.kind, fault.place) for image in found.images for fault in image.faults]


def test_rows_of_one_image_are_its_objects_wherever_they_stand(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "b.png")
    found = scanned(tmp_path, ROW + "b.png,dog,1,2,3,4\n" + "\n" + ",,,,,\n" + "a.png,dog,50,60,70,80\n")
    assert found.class_names == ("cat", "dog")
    assert [(image.image.name, [(entry.label, entry.box) for entry in image.objects]) for image in found.images] == [
        ("a.png", [("cat", (10, 20, 30, 40)), ("dog", (50, 60, 70, 80))]),
        ("b.png", [("dog", (1, 2, 3, 4))]),
    ]
    assert (faults(found), found.lost_objects) == ([], ())


@pytest.mark.parametrize("row", [",cat,1,2,3,4\n", "  ,cat,1,2,3,4\n"])
def test_a_row_that_names_no_image_is_a_lost_object(tmp_path: Path, row: str) -> None:
    found = scanned(tmp_path, ROW + row)
    ((fault),) = found.lost_objects
    assert (fault.kind, fault.place, fault.got) == ("object-malformed", "line 3", row.strip("\n"))
    assert [len(image.objects) for image in found.images] == [1]


@pytest.mark.parametrize(
    "row", ["a.png,cat,10,20,30\n", "a.png,cat,10,,30,40\n", "a.png,cat,ten,20,30,40\n", "a.png\n"]
)
def test_a_row_without_four_corners_is_a_fault_of_its_image(tmp_path: Path, row: str) -> None:
    found = scanned(tmp_path, ROW + row)
    assert faults(found) == [("object-malformed", "line 3")]
    (image,) = found.images
    assert [entry.box for entry in image.objects] == [(10, 20, 30, 40)]
    assert image.faults[0].image == image.image


def test_such_images_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,cat,10,20,30,40\n" for number in range(12))
    for number in range(12):
        draw(tmp_path / f"{number}.png")
    (tmp_path / "t.csv").write_text(f"{HEADER}{rows}3.png,cat,x,2,3,4\n")
    usable = usable_split(tmp_path, "all")
    assert (usable.images, usable.left_out_images) == (12, 1)
    assert "3" not in {sample.image.stem for sample in usable.labelled.samples}
    with pytest.raises(InputError, match=r"t\.csv: line 14 has no usable box: got 3\.png,cat,x,2,3,4"):
        open_dataset(tmp_path, "all", tolerance=Tolerance(strict=True))


@pytest.mark.parametrize("name", ["a.png", "images/a.png", "./images/a.png", "images\\a.png", "a"])
def test_an_image_is_found_by_any_way_of_naming_it(tmp_path: Path, name: str) -> None:
    made = table(tmp_path, f"{HEADER}{name},cat,10,20,30,40\n")
    inside, beside = ImageFolders(tmp_path / "images", tmp_path), ImageFolders(tmp_path, tmp_path / "images")
    for folders in (inside, beside):
        (image,) = scan_table(Table(made.path, folders, False, {}, (made.path,), "objects")).images
        assert image.image.resolve() == (tmp_path / "images" / "a.png").resolve()
        assert image.size == (100, 80)


@pytest.mark.parametrize("name", ["gone.png", "x" * 300 + ".png", "objects.csv", "images"])
def test_what_is_no_image_is_missing(tmp_path: Path, name: str) -> None:
    found = scanned(tmp_path, f"{ROW}{name},cat,1,2,3,4\n")
    assert faults(found) == [("image-missing", "")]
    assert [len(image.objects) for image in found.images] == [1, 0]


@pytest.mark.parametrize(
    ("text", "got"),
    [("", ""), ("filename,class,xmin\n" + ROW, "got filename, class, xmin"), ("a;b\n", "got a, b")],
)
def test_what_is_no_table_of_objects_is_refused(tmp_path: Path, text: str, got: str) -> None:
    with pytest.raises(InputError, match=rf"objects\.csv is not a table of objects.*{got}.*filename, class, xmin"):
        scan_table(table(tmp_path, text))


def test_a_field_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"objects\.csv is not a valid CSV file: got field larger than field limit"):
        scanned(tmp_path, '"' + "x" * (1 << 17))
