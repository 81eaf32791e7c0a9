"""Small SSDs as other projects export them: 64 x 64, 80 anchors, written as ONNX text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

SIZE, BOXES = 64, 80
VARIANCES = (0.1, 0.1, 0.2, 0.2)
IR_OF_OPSET = {9: 4, 11: 6, 13: 7, 17: 8, 20: 9}


def anchor_table() -> np.ndarray:
    """(80, 4) cx cy w h of maps of 8 x 8 and 4 x 4 cells with one square box each."""
    rows = []
    for cells, side in ((8, 0.25), (4, 0.5)):
        rows += [((x + 0.5) / cells, (y + 0.5) / cells, side, side) for y in range(cells) for x in range(cells)]
    return np.array(rows, np.float32)


@dataclass(frozen=True)
class ForeignNet:
    """What is exported, and how.

    Attributes:
        decoded: gives boxes x1 y1 x2 y2; otherwise offsets.
        softmaxed: gives probabilities; otherwise logits.
        logits: classes and background; 4 is the one number that does not tell scores from boxes.
        batch: what the exporter wrote as the first axis: ``1`` or a name.
        middle: lines of ONNX text between the trunk ``map`` and ``features``.
        tail: lines after ``all_scores`` and ``all_boxes`` that make the two outputs from them.
    """

    decoded: bool = True
    softmaxed: bool = True
    opset: int = 11
    batch: str = "1"
    names: tuple[str, str, str] = ("input_0", "scores", "boxes")
    stride: int = 8
    boxes: int = BOXES
    logits: int = 4
    middle: str = "features = Relu (map)"
    tail: str = ""
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def model(self) -> onnx.ModelProto:
        pixels, scores, boxes = self.names
        tail = self.tail or f"{scores} = Identity (all_scores)\n{boxes} = Identity (all_boxes)"
        text = f"""<ir_version: {IR_OF_OPSET[self.opset]}, opset_import: ["" : {self.opset}], producer_name: "them">
        foreign (float[{self.batch}, 3, {SIZE}, {SIZE}] {pixels}) =>
            (float[{self.batch}, {self.boxes}, {self.logits}] {scores}, float[{self.batch}, {self.boxes}, 4] {boxes}) {{
        map = Conv <kernel_shape = [8, 8], strides = [{self.stride}, {self.stride}]> ({pixels}, trunk)
        {self.middle}
        coarse = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (features)
        {self._heads("score", self.logits)}
        {self._heads("centre", 2)}
        {self._heads("side", 2)}
        {self._decode() if self.decoded else "all_boxes = Concat <axis = 2> (centre_all, side_all)"}
        all_scores = {"Softmax <axis = 2>" if self.softmaxed else "Identity"} (score_all)
        {tail}
        }}"""
        model = onnx.parser.parse_model(text)
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in {**self._arrays(), **self.weights}.items()
        )
        return model

    def write(self, folder: Path, name: str = "theirs.onnx") -> Path:
        onnx.save(self.model, folder / name)
        return folder / name

    def answer(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and boxes that the graph itself gives for (1, 3, 64, 64)."""
        session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])
        scores, boxes = session.run(list(self.names[1:]), {self.names[0]: pixels})
        return scores[0], boxes[0]

    def _heads(self, name: str, width: int) -> str:
        """As PyTorch's exporter writes a permuted view of a batch of one, with that one in the shape."""
        rows = -1 if self.batch != "1" else 1
        shape = f"{rows}, {{}}, {width}" if rows == 1 else f"-1, {{}}, {width}"
        return (
            "".join(
                f"""
        {name}_{source}_planes = Conv <kernel_shape = [1, 1]> ({source}, {name}_{source}_weight)
        {name}_{source}_pixels = Transpose <perm = [0, 2, 3, 1]> ({name}_{source}_planes)
        {name}_{source}_shape = Constant <value = int64[3] {{{shape.format(count)}}}> ()
        {name}_{source} = Reshape ({name}_{source}_pixels, {name}_{source}_shape)"""
                for source, count in (("features", 64), ("coarse", 16))
            )
            + f"\n        {name}_all = Concat <axis = 1> ({name}_features, {name}_coarse)"
        )

    def _decode(self) -> str:
        return """
        moves = Mul (centre_all, reach)
        centers = Add (moves, anchor_centres)
        logs = Mul (side_all, size_variance)
        factors = Exp (logs)
        halves = Mul (factors, half_sides)
        top_left = Sub (centers, halves)
        bottom_right = Add (centers, halves)
        all_boxes = Concat <axis = 2> (top_left, bottom_right)"""

    def _arrays(self) -> dict[str, np.ndarray]:
        """Weights by seed, scaled so that scores and boxes spread as those of a trained detector."""
        rng = np.random.default_rng(3)
        anchors = anchor_table()
        arrays = {"trunk": rng.normal(0, 0.15, (8, 3, 8, 8))}
        for name, width, spread in (("score", self.logits, 0.6), ("centre", 2, 0.3), ("side", 2, 0.4)):
            for source in ("features", "coarse"):
                arrays[f"{name}_{source}_weight"] = rng.normal(0, spread, (width, 8, 1, 1))
        if self.decoded:
            arrays["reach"] = 0.1 * anchors[:, 2:]
            arrays["anchor_centres"], arrays["half_sides"] = anchors[:, :2], anchors[:, 2:] / 2
            arrays["size_variance"] = np.array(0.2)
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def pictures(count: int = 3, size: int = SIZE) -> list[np.ndarray]:
    """Coarse colored patterns with noise, (size, size, 3) uint8."""
    rng = np.random.default_rng(11)
    drawn = [rng.integers(0, 256, (8, 8, 3)).repeat(size // 8, 0).repeat(size // 8, 1) for _ in range(count)]
    return [(image * 0.9 + rng.integers(0, 25, image.shape)).astype(np.uint8) for image in drawn]
