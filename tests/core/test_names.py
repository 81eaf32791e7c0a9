from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.names import file_slug, is_file_name
from ssd_edge.core.spec import ModelSpec
from tests.core.factories import tiny_spec

GOOD = ["signs", "ssdlite320-mobilenetv4_conv_small.e2400_r224_in1k", "Füße 2", "a" * 100, "mb1-ssd", "v1.2", "連結"]
BAD = [
    "", ".", "..", "../../victim/cal", "/somewhere/model", "a/b", "a\\b", ".hidden", "-rf", " a", "a ", "a.", "a\nb",
    "a\x1b[2J", "a\x00", "caf\udce9", "con", "NUL", "com1.x", "a" * 101, "é" * 51, "a\u202eb",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names_of_files(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize("name", BAD)
def test_what_names_no_file(name: str) -> None:
    assert not is_file_name(name)


@pytest.mark.parametrize("name", BAD)
def test_a_model_with_such_a_name_is_refused_where_it_is_read(name: str) -> None:
    text = tiny_spec().to_json()
    with pytest.raises(ArtifactError, match="name"):
        replace(tiny_spec(), name=name)
    with pytest.raises(ArtifactError, match="evil"):
        ModelSpec.from_json(json.dumps({**json.loads(text), "name": name}), origin="evil.onnx")


@pytest.mark.parametrize(
    "text",
    [
        "w/o helmet",
        "car/van",
        "N/A",
        "../../x",
        "a b",
        "ö",
        "",
        "...",
        "-rf",
        "con",
        "日本" * 40,
        "x" * 300,
        "a\x1b]0;",
        "\ud800",
    ],
)
def test_a_slug_is_a_file_name_that_resembles_its_text(text: str) -> None:
    slug = file_slug(text)
    assert is_file_name(slug)
    assert file_slug(text) == slug


def test_a_slug_of_a_plain_name_is_the_name_and_long_ones_stay_apart() -> None:
    assert file_slug("traffic_light-2.1") == "traffic_light-2.1"
    assert file_slug("w/o helmet") == "w-o-helmet"
    assert file_slug("x" * 300) != file_slug("x" * 301)
    assert file_slug("///") != file_slug("***")
