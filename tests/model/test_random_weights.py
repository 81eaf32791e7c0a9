from __future__ import annotations

import numpy as np
import pytest
import torch

from ssd_edge.model.predict import DecodedSSD, TorchDetector
from ssd_edge.model.random_weights import scaled_random
from ssd_edge.model.zoo import make_spec


@pytest.mark.parametrize("candidates", [60, 600])
def test_so_many_candidates_are_there_and_something_is_found(candidates: int) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(3)]
    spec = make_spec("ssd192-tiny", [f"c{number}" for number in range(5)], input_size=64)
    state = torch.get_rng_state()
    model = scaled_random(spec, images, candidates=candidates)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    pixels = torch.from_numpy(np.stack([TorchDetectorInput(spec)(image) for image in images]))
    with torch.no_grad():
        scores = DecodedSSD(model)(pixels)[1]
    assert (scores > spec.nms.score_threshold).sum() / 3 == pytest.approx(candidates, rel=0.1)
    assert len(TorchDetector(model).detect(images[0]))


def test_the_same_seed_gives_the_same_weights() -> None:
    images = [np.full((64, 64, 3), value, np.uint8) + np.eye(64, dtype=np.uint8)[..., None] for value in (40, 200)]
    spec = make_spec("ssd192-tiny", ["a"], input_size=64)
    one, other = (scaled_random(spec, images, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


class TorchDetectorInput:
    def __init__(self, spec) -> None:
        self.spec = spec

    def __call__(self, image: np.ndarray) -> np.ndarray:
        from ssd_edge.core.preprocess import preprocess

        return preprocess(image, self.spec.input)
