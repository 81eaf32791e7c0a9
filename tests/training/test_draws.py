from __future__ import annotations

from ssd_edge.training.loader import ALONE, Share, ShuffledDraws


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        draws = ShuffledDraws(50, batch_size=5, seed=seed)
        draws.set_epoch(epoch)
        found = list(draws)
        assert all(draw.epoch == epoch for draw in found)
        return [draw.sample for draw in found]

    assert sorted(order(0, 1)) == list(range(50))
    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_several_processes_cut_the_batches_of_one() -> None:
    def batches(size: int, share: Share = ALONE) -> list[list[int]]:
        draws = ShuffledDraws(50, batch_size=size, seed=3, share=share)
        draws.set_epoch(2)
        order = [draw.sample for draw in draws]
        assert len(order) == len(draws)
        return [order[start : start + size] for start in range(0, len(order), size)]

    parts = zip(batches(4, Share(0, 2)), batches(4, Share(1, 2)), strict=True)
    assert [first + second for first, second in parts] == batches(8)
