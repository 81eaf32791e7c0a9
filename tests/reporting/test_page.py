"""Links and images of a page that is opened from a folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.reporting.page import embedded_image, link


def address(text: str) -> str:
    return text.split('href="')[1].split('"')[0]


def test_a_link_goes_with_the_folder_where_the_file_lies_below_the_page(tmp_path: Path) -> None:
    page = tmp_path / "pages/report.html"
    assert address(link(page.parent / "sub/a b#1.mp4", page)) == "sub/a%20b%231.mp4"
    elsewhere = tmp_path / "videos/a b.mp4"
    found = urlparse(address(link(elsewhere, page)))
    assert (found.scheme, unquote(found.path)) == ("file", str(elsewhere.resolve()))


def test_an_image_without_pixels_is_named() -> None:
    with pytest.raises(InputError, match=r"photo\.jpg cannot be written as JPEG: got shape \(0, 4, 3\)"):
        embedded_image(np.zeros((0, 4, 3), np.uint8), "photo.jpg")
