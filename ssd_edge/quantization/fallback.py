"""Accuracy-aware fallback: the worst layers go back to float, as few as keep the accuracy that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx

from ssd_edge.core.errors import AccuracyError
from ssd_edge.core.log import log
from ssd_edge.quantization.sensitivity import Quantize

Evaluate = Callable[[onnx.ModelProto], float]
"""Gives a model's mean AP, 0 to 1."""


@dataclass(frozen=True)
class Fallback:
    """An INT8 model with some layers in float.

    Attributes:
        model: with these layers in float.
        keep_float: names of the layers that stay in float; none where INT8 is good enough by itself.
        map_float, map_lowered: mean AP before and after, 0 to 1.
        plain: the INT8 model without the fallback, to be timed beside it; the same where no layer fell back.
    """

    model: onnx.ModelProto
    keep_float: frozenset[str]
    map_float: float
    map_lowered: float
    plain: onnx.ModelProto

    @property
    def drop_points(self) -> float:
        """Mean AP that INT8 loses, in points (hundredths)."""
        return 100 * (self.map_float - self.map_lowered)


class GateError(AccuracyError):
    """No fallback keeps the accuracy that was asked for.

    Args:
        closest: with every layer in float.
        max_drop: what may be lost, in points of mean AP.
    """

    def __init__(self, closest: Fallback, max_drop: float) -> None:
        super().__init__(
            "INT8 loses too much mAP, even with every convolution in FP32 or FP16",
            got=f"a loss of {closest.drop_points:.2f} points",
            wanted=f"at most {max_drop:g} (--max-drop)",
            do="Calibrate on more images like those of the evaluation, or build with --fp16.",
        )
        self.closest = closest


def fall_back(
    quantize: Quantize,
    evaluate: Evaluate,
    ranked: Callable[[], Sequence[str]],
    *,
    map_float: float,
    max_drop: float,
) -> Fallback:
    """Return the INT8 model with the fewest layers in float that loses at most ``max_drop`` points of mean AP.

    The number of layers is doubled until the gate is met, and then halved back: about 2 log2(layers) evaluations.

    Args:
        quantize: lowers the model.
        evaluate: measures a model's mean AP.
        ranked: gives the layers, the worst first; asked only where INT8 alone does not meet the gate.
        map_float: of the float model.
        max_drop: in points (hundredths) of mean AP.

    Raises:
        GateError: not even with every layer in float.
    """
    plain = quantize(frozenset())

    def trial(keep_float: frozenset[str]) -> Fallback:
        model = quantize(keep_float) if keep_float else plain
        made = Fallback(model, keep_float, map_float, evaluate(model), plain)
        log.info(
            f"{len(keep_float)} layers in FP32 or FP16: mAP {made.map_lowered:.4f}, {made.drop_points:.2f} points lost"
        )
        return made

    first = trial(frozenset())
    if first.drop_points <= max_drop:
        return first
    worst = list(ranked())
    failed, count = 0, 1
    while (made := trial(frozenset(worst[:count]))).drop_points > max_drop:
        if count >= len(worst):
            raise GateError(made, max_drop)
        failed, count = count, min(2 * count, len(worst))
    while count - failed > 1:
        middle = (failed + count) // 2
        closer = trial(frozenset(worst[:middle]))
        if closer.drop_points <= max_drop:
            made, count = closer, middle
        else:
            failed = middle
    return made
