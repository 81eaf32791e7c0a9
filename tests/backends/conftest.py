from pathlib import Path

import pytest

from tests.backends.tiny_onnx import write_tiny_onnx


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "bright.onnx")
