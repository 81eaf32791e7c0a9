from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.quantization.square_model import write_pictures, write_square_model


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    write_pictures(tmp_path, 2)[1].rename(tmp_path / "0.png")
    return write_square_model(tmp_path / "squares.onnx")


def run(*words: object):
    return CliRunner().invoke(app, ["package", *map(str, words)])


def test_a_package_is_made_and_verified(exported: Path, tmp_path: Path) -> None:
    image, folder = exported.parent / "0.png", tmp_path / "for-triton"
    made = run(exported, "--for", "triton", "--image", image, "--output", folder, "--max-batch", 4)
    assert made.exit_code == 0, made.output
    assert "SHA256SUMS" not in made.stdout
    assert "README.md" in made.stdout
    found = run("--verify", folder.with_name("for-triton.tar.gz"))
    assert found.exit_code == 0, found.output
    assert "is complete and unchanged: selftest for triton" in found.stderr
    (folder / "labels.txt").write_text("other\n")
    damaged = run("--verify", folder)
    assert damaged.exit_code == 1
    assert "labels.txt changed" in " ".join(damaged.stderr.split())


def test_one_of_the_two_is_asked_for(exported: Path, tmp_path: Path) -> None:
    assert run(exported).exit_code == 2
    assert run("--for", "board", "--verify", tmp_path).exit_code == 2
    assert run(exported, "--for", "toaster").exit_code == 2
    assert run(exported, "--verify", tmp_path).exit_code == 2
    assert run("--verify", tmp_path, "--output", "x").exit_code == 2


def test_the_option_of_another_host_is_named_as_it_is_typed(exported: Path) -> None:
    refused = run(exported, "--for", "board", "--max-batch", 4)
    assert refused.exit_code == 1
    assert "--max-batch has no effect on a package for board" in " ".join(refused.stderr.split())
