from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import ssd_edge as ssd
from ssd_edge.exporting.export_onnx import onnx_model
from tests.exporting.models import lively_model, pictures

DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model of three classes and 64 x 64 pixels, with an image beside it that it finds something in."""
    folder = tmp_path_factory.mktemp("exported")
    onnx.save(onnx_model(lively_model("ssd192-tiny", input_size=64), DIGEST), folder / "lively.onnx")
    for number, image in enumerate(pictures(6)):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder / "lively.onnx"


@pytest.fixture(scope="session")
def images(exported: Path) -> list[np.ndarray]:
    return [cv2.imread(str(path)) for path in sorted(exported.parent.glob("*.png"))]


@pytest.fixture(scope="session")
def packages(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package for each host."""
    root = tmp_path_factory.mktemp("packages")
    image = exported.parent / "0.png"
    return {host.value: ssd.package(exported, host=host, image=image, workspace=root).path for host in ssd.Host}


@pytest.fixture
def copy_of(packages: dict[str, Path], tmp_path: Path):
    """Copies a package to where it may be changed."""

    def copy(host: str) -> Path:
        return Path(shutil.copytree(packages[host], tmp_path / packages[host].name))

    return copy
