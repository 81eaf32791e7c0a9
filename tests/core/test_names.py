from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.names import is_file_name
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
