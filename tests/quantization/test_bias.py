from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.quantization.bias_correction import correct_biases
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.output_error import OutputError
from ssd_edge.quantization.refine import Refined, better_of
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model


def floored(model: onnx.ModelProto) -> onnx.ModelProto:
    """A lowering that rounds weights down, each to the next 32nd of the largest: everything it gives is too small."""
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    for entry in lowered.graph.initializer:
        if entry.name.endswith(".weight"):
            value = onnx.numpy_helper.to_array(entry)
            step = np.abs(value).max() / 32
            entry.CopyFrom(onnx.numpy_helper.from_array((np.floor(value / step) * step).astype(np.float32), entry.name))
    return lowered


def images(count: int, seed: int) -> list[np.ndarray]:
    return [frame.image for frame in sample_frames(count, seed)]


def means_of(model: onnx.ModelProto, tensor: str, pictures: list[np.ndarray]) -> np.ndarray:
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    cut.graph.output.append(onnx.helper.make_tensor_value_info(tensor, 1, None))
    session = onnxruntime.InferenceSession(cut.SerializeToString())
    return session.run([tensor], {"images": np.stack(pictures)})[0].mean(axis=(0, 2, 3))


def chosen_of(model: onnx.ModelProto, corrected: onnx.ModelProto, measure: OutputError) -> tuple[Refined, float, float]:
    """Return what the refinement keeps, and the errors without the correction and of what is kept."""
    table, before = table_for(model), measure(floored(model))
    plain, made = Refined(model, table), Refined(corrected, table)
    kept, after = better_of(plain, before, made, "corrected", lambda given, _: floored(given), measure)
    return kept, before, after


def test_a_shift_of_the_means_is_taken_out() -> None:
    model, pictures = square_model(), images(3, 3)
    corrected = correct_biases(model, floored, pictures)
    for tensor in ("conv1", "conv2", "conv3", "logits.map", "offsets.map"):
        wanted = means_of(model, tensor, pictures)
        plain = np.abs(means_of(floored(model), tensor, pictures) - wanted).max()
        mended = np.abs(means_of(floored(corrected), tensor, pictures) - wanted).max()
        assert mended < plain / 100, tensor


def test_is_taken_where_it_helps_on_other_pictures() -> None:
    model = square_model()
    corrected = correct_biases(model, floored, images(3, 3))
    chosen, before, after = chosen_of(model, corrected, OutputError(model, images(3, 7)))
    assert (chosen.model, chosen.steps) == (corrected, ("corrected",))
    assert after < before


def test_what_does_not_help_is_refused() -> None:
    model = square_model()
    worse = correct_biases(model, floored, [np.zeros_like(images(1, 3)[0])])
    for entry in worse.graph.initializer:
        if entry.name == "logits.corrected.bias":
            entry.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(entry) + 1, entry.name))
    chosen, before, after = chosen_of(model, worse, OutputError(model, images(2, 7)))
    assert (chosen.model, chosen.steps) == (model, ())
    assert after == before


def test_a_lowering_that_changes_nothing_is_not_corrected() -> None:
    model = square_model()
    corrected = correct_biases(model, lambda same: same, images(2, 3))
    assert OutputError(model, images(2, 7))(corrected) < 1e-6


def test_a_lowering_to_half_precision_is_measured_too() -> None:
    model = square_model()
    corrected = correct_biases(model, lambda same: to_half(floored(same)), images(2, 3))
    assert OutputError(model, images(2, 7))(to_half(floored(corrected))) < OutputError(model, images(2, 7))(
        to_half(floored(model))
    )
