from __future__ import annotations

from pathlib import Path

import numpy as np

from ssd_edge.core.images import write_image
from ssd_edge.data.lint.check import LintReport
from ssd_edge.data.lint.issue import KINDS, Issue
from ssd_edge.workflows.contact_sheet import worst_first, write_sheet


def fault(kind: str, image: Path, box: tuple[float, float, float, float] | None = None, **more: Path) -> Issue:
    return Issue(kind, "train", image.with_suffix(".xml"), f"<{kind}> of {image}", "object 1", image, box, **more)


def test_most_errors_come_first_then_most_warnings(tmp_path: Path) -> None:
    a, b, c = (tmp_path / f"{name}.jpg" for name in "abc")
    faults = [fault("box-tiny", a), fault("box-tiny", b), fault("box-tiny", b), fault("box-empty", c)]
    assert [path.stem for path, _ in worst_first(faults)] == ["c", "b", "a"]


def test_of_many_issues_of_an_image_the_first_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    write_image(image, np.full((60, 80, 3), 200, np.uint8))
    for count, said in ((12, False), (15, True)):
        kinds = list(KINDS)[:count]
        faults = tuple(fault(kind, image) for kind in kinds)
        write_sheet(LintReport(tmp_path / "data", {}, {}, faults), tmp_path / "sheet.html")
        text = (tmp_path / "sheet.html").read_text()
        assert [f"{kind}: " in text for kind in kinds] == [number < 12 for number in range(count)]
        assert ("and 3 more" in text) == said


def test_the_sheet_holds_pictures_and_escaped_text(tmp_path: Path) -> None:
    image, other, gone = tmp_path / "a&<b>.jpg", tmp_path / "o.jpg", tmp_path / "gone.jpg"
    for path in (image, other):
        write_image(path, np.full((600, 800, 3), 200, np.uint8))
    nan = float("nan")
    faults = (
        fault("box-outside", image, (-1e9, 5, 1e9, 50)),
        fault("box-not-finite", image, (nan, 1, 2, 3)),
        fault("leakage", image, other=other),
        fault("image-missing", gone),
    )
    page = tmp_path / "sheet.html"
    assert write_sheet(LintReport(tmp_path / "data", {}, {}, faults), page) == 2
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 2  # the image and the one it repeats; the missing one has none
    assert "a&amp;&lt;b&gt;.jpg" in text
    assert "<b>.jpg" not in text
    assert "4 errors and 0 warnings in 2 images and files" in text
    assert 'src="http' not in text
    assert write_sheet(LintReport(tmp_path / "data", {}, {}, faults), page, limit=1) == 1
