"""What several sources get apart: names, files and ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.workflows.stream_config import RunConfig
from ssd_edge.workflows.stream_plan import means_folder, plans_of

SOURCES = ["gate.mp4", "yard.mp4", "gate.mp4"]


@pytest.mark.parametrize(
    ("address", "addresses"),
    [
        ("8080", ["8080", "8081", "8082"]),
        ("0.0.0.0:8080", ["0.0.0.0:8080", "0.0.0.0:8081", "0.0.0.0:8082"]),
        ("[::1]:80", ["[::1]:80", "[::1]:81", "[::1]:82"]),
        ("localhost", ["localhost"] * 3),
        ("host:²", ["host:²"] * 3),
    ],
)
def test_each_source_is_served_on_a_port_of_its_own(address: str, addresses: list[str]) -> None:
    """What is no port stays as it is, and is refused where it is opened."""
    plans = plans_of(SOURCES, RunConfig(serve=address))
    assert [plan.config.serve for plan in plans] == addresses
    (alone,) = plans_of("gate.mp4", RunConfig(serve=address))
    assert alone.config.serve == address


def test_files_are_called_like_their_sources_which_are_told_apart(tmp_path: Path) -> None:
    plans = plans_of(SOURCES, RunConfig(output=tmp_path / "videos", json_path=tmp_path / "boxes"))
    names = [plan.name for plan in plans]
    assert len(set(names)) == 3
    assert [plan.config.output for plan in plans] == [tmp_path / "videos" / f"{name}.mkv" for name in names]
    assert [plan.config.json_path for plan in plans] == [tmp_path / "boxes" / f"{name}.jsonl" for name in names]


@pytest.mark.parametrize("lines", ["-", "all.jsonl"])
def test_stdout_and_a_file_take_the_lines_of_all(lines: str) -> None:
    assert {plan.config.json_path for plan in plans_of(SOURCES, RunConfig(json_path=Path(lines)))} == {Path(lines)}


@pytest.mark.parametrize("json_folder", [False, True])
def test_one_source_has_its_lines_in_a_folder_too(tmp_path: Path, json_folder: bool) -> None:
    folder = tmp_path / ("new.d" if json_folder else "")
    (plan,) = plans_of("videos/gate.mp4", RunConfig(json_path=folder), json_folder=json_folder)
    assert plan.config.json_path == folder / "gate.jsonl"
    plans = plans_of(SOURCES, RunConfig(json_path=folder), json_folder=json_folder)
    assert plans[0].config.json_path == folder / "gate.jsonl", "the same file where more sources come"
    (plan,) = plans_of("gate.mp4", RunConfig(json_path=tmp_path / "boxes"))
    assert plan.config.json_path == tmp_path / "boxes", "without a slash it is a file"


def test_sources_that_are_all_images_are_one(tmp_path: Path) -> None:
    images = ["photos/b.jpg", "photos/a.PNG"]
    (plan,) = plans_of(images, RunConfig(output=tmp_path / "out", json_path=tmp_path))
    assert (plan.name, plan.images) == ("photos", (Path(images[0]), Path(images[1])))
    assert plan.inputs == plan.images
    assert plan.config.output == tmp_path / "out", "a folder of images, and no videos"
    assert plan.config.json_path == tmp_path / "photos.jsonl"
    (plan,) = plans_of([*images, "more/c.jpg"], RunConfig())
    assert plan.name == "images"
    (plan,) = plans_of(["b.jpg", "a.jpg"], RunConfig())
    assert plan.name == "images"
    assert len(plans_of([*images, "gate.mp4"], RunConfig())) == 3
    assert plans_of("b.jpg", RunConfig())[0].images == ()
    (tmp_path / "folder.jpg").mkdir()
    assert len(plans_of([*images, str(tmp_path / "folder.jpg")], RunConfig())) == 3


def test_a_slash_at_the_end_means_a_folder() -> None:
    assert means_folder("boxes/")
    assert not any(map(means_folder, ("boxes", "-", Path("boxes/"), None)))


def test_a_window_shows_only_one_source() -> None:
    with pytest.raises(InputError, match="window can show only one source.*--serve"):
        plans_of(SOURCES, RunConfig(window=True))
    assert [plan.config.window for plan in plans_of(SOURCES, RunConfig())] == [False] * 3, "nor is one opened by itself"
    (alone,) = plans_of("gate.mp4", RunConfig(window=True))
    assert alone.config.window
