from __future__ import annotations

import math

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import AnchorClip, AnchorSpec, AnchorTable
from ssd_edge.model.anchors import MapSize, anchor_boxes, anchors_from_scales, anchors_from_sizes, linear_scales

SSD300_MAPS = [MapSize(side, side) for side in (38, 19, 10, 5, 3, 1)]
SSD300_RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
SSD512_MAPS = [MapSize(side, side) for side in (64, 32, 16, 8, 4, 2, 1)]


def slow_boxes(spec: AnchorSpec) -> np.ndarray:
    """Section 2.2 of the paper, one box after another, from the spec alone."""
    boxes = []
    for level in spec.levels:
        for i in range(level.rows):
            for j in range(level.cols):
                for w, h in level.sizes:
                    cx, cy = (j + 0.5) * level.step[1], (i + 0.5) * level.step[0]
                    if spec.clip == "centre":
                        cx, cy = min(max(cx, 0), 1), min(max(cy, 0), 1)
                    if spec.clip != "none":
                        w, h = min(max(w, 0), 1), min(max(h, 0), 1)
                    boxes.append((cx, cy, w, h))
    return np.array(boxes, np.float32)


def original_prior_boxes(
    size: int, maps: list[MapSize], steps: list[int], small: list[float], large: list[float], ratios: list[list[int]]
) -> np.ndarray:
    """The loop that every descendant of the Caffe code shares, written from its description (pixels, no clip)."""
    boxes = []
    for k, (rows, cols) in enumerate(maps):
        for i in range(rows):
            for j in range(cols):
                cx, cy = (j + 0.5) * steps[k] / size, (i + 0.5) * steps[k] / size
                s, extra = small[k] / size, math.sqrt(small[k] / size * large[k] / size)
                boxes += [[cx, cy, s, s], [cx, cy, extra, extra]]
                for r in ratios[k]:
                    boxes += [
                        [cx, cy, s * math.sqrt(r), s / math.sqrt(r)],
                        [cx, cy, s / math.sqrt(r), s * math.sqrt(r)],
                    ]
    return np.array(boxes)


@pytest.mark.parametrize("clip", ["none", "size", "centre"])
@pytest.mark.parametrize("steps", [None, (10, 40, 90)])
def test_every_clip_mode_against_a_slow_loop(clip: AnchorClip, steps: tuple[int, ...] | None) -> None:
    maps = [MapSize(5, 8), MapSize(3, 4), MapSize(1, 2)]
    spec = anchors_from_scales(
        maps, MapSize(50, 80), scales=(0.1, 0.4, 0.9, 1.4), ratios=((2,), (2, 3), ()), steps=steps, clip=clip
    )
    boxes = anchor_boxes(spec)
    np.testing.assert_array_equal(boxes, slow_boxes(spec))
    assert boxes.dtype == np.float32
    assert len(boxes) == spec.count == 5 * 8 * 4 + 3 * 4 * 6 + 2 * 2


def test_clip_modes_differ_where_they_should() -> None:
    options = {"scales": (0.9, 1.3), "ratios": ((3,),), "steps": (70,)}
    boxes = {
        clip: anchor_boxes(anchors_from_scales([MapSize(2, 2)], MapSize(100, 100), clip=clip, **options))
        for clip in ("none", "size", "centre")
    }
    assert boxes["none"][:, 2:].max() > 1
    assert boxes["none"][:, :2].max() == boxes["size"][:, :2].max() == np.float32(1.05)
    assert boxes["size"][:, 2:].max() == boxes["centre"].max() == 1
    np.testing.assert_array_equal(boxes["size"][:, 2:], boxes["centre"][:, 2:])


def test_order_of_a_cell() -> None:
    (level,) = anchors_from_scales([MapSize(1, 1)], MapSize(9, 9), scales=(0.2, 0.8), ratios=((4, 9),)).levels
    expected = [(0.2, 0.2), (0.4, 0.4), (0.4, 0.1), (0.1, 0.4), (0.6, 0.2 / 3), (0.2 / 3, 0.6)]
    np.testing.assert_allclose(level.sizes, expected)


def test_even_steps_put_centres_between_the_edges() -> None:
    spec = anchors_from_scales([MapSize(2, 4)], MapSize(100, 100), scales=(0.1, 0.2), ratios=((),))
    centers = anchor_boxes(spec)[::2, :2]
    expected = [(x, y) for y in (0.25, 0.75) for x in (0.125, 0.375, 0.625, 0.875)]
    np.testing.assert_allclose(centers, expected)


def test_pixel_tables_of_ssd300_voc() -> None:
    steps, small = [8, 16, 32, 64, 100, 300], [30, 60, 111, 162, 213, 264]
    large = [60, 111, 162, 213, 264, 315]
    spec = anchors_from_sizes(
        SSD300_MAPS, MapSize(300, 300), min_sizes=small, max_sizes=large, ratios=SSD300_RATIOS, steps=steps
    )
    expected = original_prior_boxes(300, SSD300_MAPS, steps, small, large, SSD300_RATIOS)
    assert spec.count == 8732
    np.testing.assert_allclose(anchor_boxes(spec), expected, atol=1e-6, rtol=0)


def test_pixel_tables_of_ssd512_voc() -> None:
    steps = [8, 16, 32, 64, 128, 256, 512]
    small = [35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8]
    large = [76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.65]
    ratios = ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,))
    spec = anchors_from_sizes(
        SSD512_MAPS, MapSize(512, 512), min_sizes=small, max_sizes=large, ratios=ratios, steps=steps, clip="centre"
    )
    expected = original_prior_boxes(512, SSD512_MAPS, steps, small, large, ratios).clip(0, 1)
    assert spec.count == 24564
    np.testing.assert_allclose(anchor_boxes(spec), expected, atol=1e-6, rtol=0)


def test_pixel_tables_are_square_in_pixels_on_an_oblong_input() -> None:
    spec = anchors_from_sizes([MapSize(1, 2)], MapSize(100, 200), min_sizes=[20], max_sizes=[80], ratios=[[4]])
    pixels = np.array(spec.levels[0].sizes) * (200, 100)
    np.testing.assert_allclose(pixels, [(20, 20), (40, 40), (40, 10), (10, 40)])


def test_linear_scales_are_the_papers() -> None:
    # Section 2.2: s_min 0.2, s_max 0.9, m = 6.
    np.testing.assert_allclose(linear_scales(6, 0.2, 0.9), (0.2, 0.34, 0.48, 0.62, 0.76, 0.9, 1.04))
    assert linear_scales(1, 0.3, 0.6) == (0.3, 0.6)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"scales": (0.1, 0.2), "ratios": ((), ())}, "table scales .* 2 feature maps: got 2 entries; wanted 3"),
        ({"scales": (0.1, 0.2, 0.3), "ratios": ((),)}, "table ratios .*: got 1 entries; wanted 2"),
        ({"scales": (0.1, 0.2, 0.3), "ratios": ((), ()), "steps": (8,)}, "table steps .*: got 1 entries; wanted 2"),
    ],
)
def test_scale_tables_of_other_lengths_are_refused(tables: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        anchors_from_scales([MapSize(2, 2), MapSize(1, 1)], MapSize(9, 9), **tables)


def test_pixel_tables_of_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="table max_sizes does not match .* 1 feature maps: got 2 entries; wanted 1"):
        anchors_from_sizes([MapSize(1, 1)], MapSize(9, 9), min_sizes=[1], max_sizes=[2, 3], ratios=[[]])


def test_the_table_of_an_imported_graph_is_refused() -> None:
    with pytest.raises(
        InputError, match="the anchors cannot be computed from a rule: got a table of 80 in an imported graph"
    ):
        anchor_boxes(AnchorSpec((), table=AnchorTable(80)))
