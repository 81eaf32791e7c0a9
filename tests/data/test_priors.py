from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.spec import AnchorLevel, AnchorSpec, AnchorTable
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.data.find import open_dataset
from ssd_edge.data.priors import cluster_sizes, fit_priors, size_overlaps
from ssd_edge.data.priors_file import PriorsFile
from ssd_edge.model.zoo import make_spec

BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd"
SIDES = ((0.1, 0.3), (0.3, 0.1), (0.5, 0.45))


def level(cells: int, *sizes: tuple[float, float]) -> AnchorLevel:
    return AnchorLevel(cells, cells, (1 / cells, 1 / cells), sizes)


SQUARES = AnchorSpec((level(32, (0.2, 0.2), (0.25, 0.25)), level(8, (0.5, 0.5))))


def scattered(sides: tuple[tuple[float, float], ...], count: int, seed: int = 0) -> np.ndarray:
    """Objects of these sizes, give or take 5 %, all over the image."""
    rng = np.random.default_rng(seed)
    sizes = np.array(sides)[rng.integers(len(sides), size=count)] * rng.uniform(0.95, 1.05, (count, 2))
    corners = rng.random((count, 2)) * (1 - sizes)
    return np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)


def test_overlap_of_concentric_boxes() -> None:
    found = size_overlaps(np.array([[2.0, 2.0], [1.0, 4.0]]), np.array([[2.0, 2.0], [4.0, 1.0]]))
    np.testing.assert_allclose(found, [[1, 2 / 6], [2 / 6, 1 / 7]])


def test_clusters_are_found_smallest_first_and_the_same_for_a_seed() -> None:
    boxes = scattered(SIDES, 300).astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    centers = cluster_sizes(sizes, 3, np.random.default_rng(1))
    np.testing.assert_allclose(sorted(centers.tolist()), SIDES, atol=0.01)
    assert (np.diff(centers.prod(axis=1)) >= 0).all()
    np.testing.assert_array_equal(centers, cluster_sizes(sizes, 3, np.random.default_rng(1)))


def test_no_centre_can_be_moved_to_a_median_that_is_nearer() -> None:
    sizes = np.random.default_rng(0).uniform(0.05, 1, (500, 2))
    centers = cluster_sizes(sizes, 5, np.random.default_rng(0))
    nearest = size_overlaps(sizes, centers).argmax(axis=1)
    np.testing.assert_allclose(centers, [np.median(sizes[nearest == number], axis=0) for number in range(5)])


def test_a_sample_of_many_sizes_has_the_same_clusters() -> None:
    boxes = scattered(SIDES, 45_000).astype(np.float64)
    sizes = np.concatenate([boxes[:, 2:] - boxes[:, :2], [[0.9, 0.9]]])
    centers = cluster_sizes(sizes, 3, np.random.default_rng(1))
    np.testing.assert_allclose(sorted(centers.tolist()), SIDES, atol=0.01)
    np.testing.assert_array_equal(centers, cluster_sizes(sizes, 3, np.random.default_rng(1)))


def test_fewer_sizes_than_centres_are_repeated() -> None:
    centers = cluster_sizes(np.full((4, 2), 0.5), 3, np.random.default_rng(0))
    np.testing.assert_array_equal(centers, np.full((3, 2), 0.5))


def test_long_objects_are_reached_after_fitting_those_that_were_not_seen_too() -> None:
    fitted = fit_priors(scattered(SIDES, 300), SQUARES)
    assert fitted.before.recall < 0.5 < 0.95 < fitted.after.recall
    assert fitted.are_better
    assert fitted.after == AnchorRecall.of(best_overlaps(scattered(SIDES, 300), fitted.anchors))
    unseen = scattered(SIDES, 300, seed=9)
    assert (best_overlaps(unseen, fitted.anchors) >= 0.5).mean() > 0.9
    assert [(map.rows, map.step, len(map.sizes)) for map in fitted.anchors.levels] == [
        (map.rows, map.step, len(map.sizes)) for map in SQUARES.levels
    ]
    assert fit_priors(scattered(SIDES, 300), SQUARES) == fitted


def test_small_objects_are_reached_from_the_finest_map() -> None:
    before = AnchorSpec((level(32, (0.3, 0.3), (0.4, 0.4)), level(2, (0.7, 0.7))))
    fitted = fit_priors(scattered(((0.1, 0.2), (0.2, 0.1)), 200), before)
    assert fitted.after.recall == 1
    finest = AnchorSpec(fitted.anchors.levels[:1])
    assert (best_overlaps(scattered(((0.1, 0.2), (0.2, 0.1)), 200), finest) >= 0.5).all()


def test_the_number_of_boxes_can_be_chosen() -> None:
    fitted = fit_priors(scattered(SIDES, 100), SQUARES, per_level=(3, 2))
    assert [len(map.sizes) for map in fitted.anchors.levels] == [3, 2]
    fitted = fit_priors(scattered(SIDES, 100), SQUARES, per_level=(4, 1))
    assert [len(map.sizes) for map in fitted.anchors.levels] == [4, 1]


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="the data set has no objects to fit"):
        fit_priors(np.zeros((0, 4), np.float32), SQUARES)
    with pytest.raises(InputError, match="do not match the network's feature maps: got 3; wanted 2 numbers"):
        fit_priors(scattered(SIDES, 9), SQUARES, per_level=(3,))
    with pytest.raises(InputError, match="anchors of an imported graph cannot"):
        fit_priors(scattered(SIDES, 9), AnchorSpec((), table=AnchorTable(5)))


@pytest.mark.parametrize("preset", ["ssdlite320-mobilenet-v3-large", "ssd300-mobilenet-v1", "ssd192-tiny"])
def test_recall_on_real_pictures_rises_on_those_fitted_to_and_on_others(preset: str) -> None:
    if not BCCD.is_dir():
        pytest.skip("../shared/data/bccd is not there")
    anchors = make_spec(preset, ["a"]).anchors
    fitted = fit_priors(unit_boxes(open_dataset(BCCD, "train")), anchors)
    assert fitted.after.recall > fitted.before.recall + 0.02
    unseen = unit_boxes(open_dataset(BCCD, "test"))
    before, after = (AnchorRecall.of(best_overlaps(unseen, boxes)) for boxes in (anchors, fitted.anchors))
    assert after.recall > before.recall + 0.02
    assert after.mean_iou > before.mean_iou


def test_the_file_gives_back_what_was_saved_and_fits_its_network_only(tmp_path: Path) -> None:
    spec = make_spec("ssd192-tiny", ["a"], input_size=64)
    odd = tuple(dataclasses.replace(map, sizes=((0.1, 0.2), (1 / 3, 0.3))) for map in spec.anchors.levels)
    saved = PriorsFile("ssd192-tiny", 64, 64, AnchorSpec(odd), {"data": "x"})
    saved.save(tmp_path / "p.json")
    read = PriorsFile.load(tmp_path / "p.json")
    assert read == saved
    assert read.applied_to(spec, preset="ssd192-tiny", origin=tmp_path).anchors == saved.anchors
    other = make_spec("ssd192-tiny", ["a"], input_size=96)
    with pytest.raises(InputError, match="another network or input size: got .* 64 x 64; wanted .* 96 x 96"):
        read.applied_to(other, preset="ssd192-tiny", origin=tmp_path / "p.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "is not a file of anchors"),
        ({"anchors": {}}, "damaged"),
        ({"more": 1}, "damaged"),
        (
            {"anchors": {"levels": [{"rows": 1, "cols": 1, "step": [1, 1], "sizes": []}]}},
            "a feature map has no anchors",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "p.json"
    PriorsFile("x", 1, 1, SQUARES, {}).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match=message):
        PriorsFile.load(path)
