"""What a config says before a build has completed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.choices import Target
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.build.config import BuildConfig


def test_what_a_build_chooses_is_not_guessed_before() -> None:
    with pytest.raises(InputError, match="target is not resolved yet.*target="):
        _ = BuildConfig(output=Path("a.engine")).runtime
    with pytest.raises(InputError, match="path is not resolved yet.*output="):
        _ = BuildConfig(target=Target.OPENVINO).engine
    named = BuildConfig(target=Target.OPENVINO, output=Path("a.engine"))
    assert (named.runtime, named.engine) == (Target.OPENVINO, Path("a.engine"))
    assert named.graph.parent == Path()
    assert named.graph.suffix == ".onnx"
