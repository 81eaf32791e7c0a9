from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.training.loader import Batch, BatchLoader, Share
from tests.training.factories import SIDE, squares, tiny_anchors
from tests.training.test_dataset import training_set


def batches(loader: BatchLoader, epoch: int) -> list[Batch]:
    return list(loader.epoch(epoch))


def test_batches_are_stacked_examples(tmp_path: Path) -> None:
    loader = BatchLoader(training_set(squares(tmp_path, 7)), batch_size=3, workers=0, seed=0)
    found = batches(loader, 1)
    anchors = len(tiny_anchors())
    assert len(loader) == len(found) == 2
    assert found[0].images.shape == (3, SIDE, SIDE, 3)
    assert found[0].images.dtype == torch.uint8
    assert found[0].targets.labels.shape == (3, anchors)
    assert found[0].targets.offsets.shape == (3, anchors, 4)
    assert len({path for batch in found for path in batch.paths}) == 6


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    examples = training_set(squares(tmp_path, 8), seed=1)
    alone = BatchLoader(examples, batch_size=4, workers=0, seed=1)
    shared = BatchLoader(examples, batch_size=4, workers=2, seed=1)
    for epoch in (1, 2):
        for first, second in zip(batches(alone, epoch), batches(shared, epoch), strict=True):
            assert first.paths == second.paths
            assert torch.equal(first.images, second.images)
            assert torch.equal(first.targets.labels, second.targets.labels)
            assert torch.equal(first.targets.offsets, second.targets.offsets)


def test_too_few_pictures_for_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got 3 pictures; wanted at least 8\. .*--batch-size 3"):
        BatchLoader(training_set(squares(tmp_path, 3)), batch_size=8, workers=0, seed=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_faulty_picture_is_named_without_a_traceback(tmp_path: Path, workers: int) -> None:
    labelled = squares(tmp_path, 4)
    labelled.samples[2].image.write_bytes(b"")
    loader = BatchLoader(training_set(labelled), batch_size=2, workers=workers, seed=0)
    with pytest.raises(InputError, match=r"0002\.png is empty: wanted an image file$"):
        batches(loader, 1)


def test_an_epoch_goes_on_after_the_batches_that_were_done(tmp_path: Path) -> None:
    batches = BatchLoader(training_set(squares(tmp_path, 20)), batch_size=4, workers=0, seed=0)
    whole = [batch.paths for batch in batches.epoch(3)]
    rest = [batch.paths for batch in batches.epoch(3, done=2)]
    assert rest == whole[2:]
    assert [batch.paths for batch in batches.epoch(3)] == whole


def test_every_process_needs_a_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not fill one batch: got 20 pictures; wanted at least 24") as caught:
        BatchLoader(training_set(squares(tmp_path, 20)), batch_size=8, workers=0, seed=0, share=Share(0, 3))
    assert "--batch-size 6" in str(caught.value)
