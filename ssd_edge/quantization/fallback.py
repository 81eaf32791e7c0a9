"""Keeps the accuracy that was promised: the worst layers go back to float, as few as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx

from ssd_edge.core.errors import AccuracyError
from ssd_edge.quantization.sensitivity import Quantise

Evaluate = Callable[[onnx.ModelProto], float]
"""Gives a model's mean AP, 0 to 1."""


@dataclass(frozen=True)
class Guarded:
    """An INT8 model that keeps its promise.

    Attributes:
        keep_float: names of the layers that stay in float; none where INT8 keeps it by itself.
        plain: the INT8 model without the guard, to be timed beside it; the same where INT8 keeps its promise by itself.
        map_float, map_lowered: mean AP before and after.
    """

    model: onnx.ModelProto
    keep_float: frozenset[str]
    map_float: float
    map_lowered: float
    plain: onnx.ModelProto

    @property
    def drop_points(self) -> float:
        """What INT8 costs, in points of mean AP (hundredths)."""
        return 100 * (self.map_float - self.map_lowered)


def guard(
    quantise: Quantise,
    evaluate: Evaluate,
    ranked: Callable[[], Sequence[str]],
    *,
    map_float: float,
    max_drop: float,
    told: Callable[[str], None] = lambda _: None,
) -> Guarded:
    """Return the INT8 model with the fewest layers in float that loses at most ``max_drop`` points of mean AP.

    The number of layers is doubled until the promise holds, and then halved back: about 2 log2(layers) evaluations.

    Args:
        quantise: lowers the model.
        evaluate: judges a model.
        ranked: gives the layers, the worst first; asked only where INT8 alone does not keep the promise.
        map_float: of the float model.
        max_drop: in points (hundredths) of mean AP.
        told: called with each trial.

    Raises:
        AccuracyError: not even with every layer in float.
    """
    plain = quantise(frozenset())

    def trial(keep_float: frozenset[str]) -> Guarded:
        model = quantise(keep_float) if keep_float else plain
        made = Guarded(model, keep_float, map_float, evaluate(model), plain)
        told(f"{len(keep_float)} layers in float: mAP {made.map_lowered:.4f}, {made.drop_points:.2f} points lost")
        return made

    first = trial(frozenset())
    if first.drop_points <= max_drop:
        return first
    worst = list(ranked())
    failed, count = 0, 1
    while (made := trial(frozenset(worst[:count]))).drop_points > max_drop:
        if count >= len(worst):
            raise AccuracyError(
                "INT8 loses too much, even with every convolution in float",
                got=f"{made.drop_points:.2f} points of mAP",
                wanted=f"at most {max_drop:g} (--max-drop)",
                do="Calibrate with more pictures like those it is judged on, or build --fp16.",
            )
        failed, count = count, min(2 * count, len(worst))
    while count - failed > 1:
        middle = (failed + count) // 2
        closer = trial(frozenset(worst[:middle]))
        if closer.drop_points <= max_drop:
            made, count = closer, middle
        else:
            failed = middle
    return made
