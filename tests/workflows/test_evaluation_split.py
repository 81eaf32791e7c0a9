"""What a model is evaluated on where nothing is named, and what its run forbids."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.run_data import RunData
from ssd_edge.data.find import open_dataset
from ssd_edge.data.split_lists import SPLIT_FILE, ListedPart, SplitLists
from ssd_edge.workflows.evaluation_split import check_not_learned, evaluation_split
from tests.data.folders import voc_object, write_voc


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for stem in "abcd":
        write_voc(tmp_path / "data", voc_object(), stem=stem)
    return tmp_path / "data"


def run_of(dataset: Path, name: str, aside: str) -> Path:
    """A run that set some images aside; returns its checkpoint."""
    run = dataset.parent / "runs" / name
    run.mkdir(parents=True)
    parts = {"train": sorted(set("abcd") - set(aside)), "val": sorted(aside)}
    listed = {part: {f"JPEGImages/{stem}.jpg": f"sha256:{stem}" for stem in stems} for part, stems in parts.items()}
    SplitLists("train", 0, listed).save(run / SPLIT_FILE)
    RunData(str(dataset), *(str(ListedPart(run / SPLIT_FILE, part)) for part in ("train", "val"))).save(run)
    return run / "best.pt"


def test_models_are_compared_only_on_what_all_of_them_set_aside(dataset: Path) -> None:
    first, same, other = run_of(dataset, "a", "cd"), run_of(dataset, "b", "cd"), run_of(dataset, "c", "ab")
    assert evaluation_split([first, same], dataset) == str(ListedPart(first.with_name(SPLIT_FILE), "val"))
    with pytest.raises(InputError, match="set aside different images.*wanted the same list.*--split"):
        evaluation_split([first, other], dataset)


def test_a_test_set_comes_first_and_is_wanted_where_no_run_kept_a_list(dataset: Path) -> None:
    assert evaluation_split([dataset.parent / "elsewhere.onnx"], dataset) == "test"
    first, other = run_of(dataset, "a", "cd"), run_of(dataset, "c", "ab")
    write_voc(dataset, voc_object(), split="test", stem="e")
    assert evaluation_split([first, other], dataset) == "test"


def test_images_that_a_run_learned_from_are_refused_wherever_they_are_named(dataset: Path) -> None:
    model = run_of(dataset, "a", "cd")
    labelled = open_dataset(dataset, "train")
    check_not_learned([model], labelled, "train")  # the digests are of other files
    lists = SplitLists.load(model.with_name(SPLIT_FILE))
    from ssd_edge.core.files import file_digest

    parts = {part: {name: file_digest(dataset / name) for name in names} for part, names in lists.parts.items()}
    parts["val"] = {}
    SplitLists("train", 0, parts).save(model.with_name(SPLIT_FILE))
    with pytest.raises(InputError, match=r"was trained on .* of these .* images.*split\.json:val"):
        check_not_learned([model], labelled, "train")
