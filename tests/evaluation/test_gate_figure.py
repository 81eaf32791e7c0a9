from __future__ import annotations

import pytest

from ssd_edge.core.choices import Metric
from ssd_edge.evaluation.coco_ap import CocoAp, CocoNumbers
from ssd_edge.evaluation.gate import GateFigure
from ssd_edge.evaluation.mean_ap import MeanAp

ACCURACY = MeanAp(Metric.VOC, 0.5, mean_ap=0.1, mean_ap_50_95=0.2, classes=())
COCO = CocoAp(CocoNumbers(0.3, 0.4, *[None] * 10), classes={})
SAVED = {"map": 0.1, "map_50_95": 0.2, "coco": {"ap": 0.3, "ap_50": 0.4}}


@pytest.mark.parametrize(("figure", "wanted"), list(zip(GateFigure, (0.1, 0.2, 0.3, 0.4), strict=True)))
def test_each_figure_is_found_in_an_evaluation_and_in_a_file_of_one(figure: GateFigure, wanted: float) -> None:
    assert figure.of(ACCURACY, COCO) == wanted
    assert figure.saved(SAVED) == wanted
    if not figure.is_coco:
        assert figure.of(ACCURACY, None) == wanted
