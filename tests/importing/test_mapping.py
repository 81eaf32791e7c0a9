from __future__ import annotations

import pytest
import torch
from torch import nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.importing.family import class_count, renamed, shifted, with_counters, without_bias


def test_the_first_rule_that_matches_renames() -> None:
    one, two, three = torch.zeros(1), torch.ones(1), torch.ones(2)
    rules = [*shifted("net", "features", range(12, 14), offset=12), (r"^net\.", "stem.")]
    found = renamed({"net.12.weight": one, "net.1.weight": two, "other.net.1": three}, rules)
    assert found == {"features.0.weight": one, "stem.1.weight": two, "other.net.1": three}


def test_missing_counters_are_added_and_others_kept() -> None:
    found = with_counters({"a.running_mean": torch.zeros(1), "b.running_mean": torch.zeros(1)} | _counter("b", 7))
    assert found["a.num_batches_tracked"] == 0
    assert found["a.num_batches_tracked"].dtype == torch.long
    assert found["b.num_batches_tracked"] == 7


def _counter(layer: str, value: int) -> dict[str, torch.Tensor]:
    return {f"{layer}.num_batches_tracked": torch.tensor(value)}


def test_a_bias_in_front_of_a_batch_norm_moves_into_it() -> None:
    torch.manual_seed(0)
    with_bias = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    bare = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval()
    with_bias[1].running_mean.normal_()
    before = {name: tensor.clone() for name, tensor in with_bias.state_dict().items()}
    bare.load_state_dict(without_bias(with_bias.state_dict(), "0", "1"))
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(bare(images), with_bias(images), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in with_bias.state_dict().items())


def test_classes_are_counted_without_background() -> None:
    heads = {"conf": torch.zeros(4 * 21, 1), "loc": torch.zeros(4 * 4, 1)}
    assert class_count(heads, logits="conf", offsets="loc", family="f") == 20


@pytest.mark.parametrize(("logits", "offsets"), [(85, 16), (84, 3), (4, 16)])
def test_heads_that_do_not_belong_together_are_refused(logits: int, offsets: int) -> None:
    heads = {"conf": torch.zeros(logits, 1), "loc": torch.zeros(offsets, 1)}
    with pytest.raises(
        ArtifactError, match=f"heads of this f do not match each other: got {logits} logits and {offsets}"
    ):
        class_count(heads, logits="conf", offsets="loc", family="f")


def test_a_missing_head_is_named() -> None:
    with pytest.raises(ArtifactError, match="these weights look like f, but are incomplete: got no tensor loc"):
        class_count({"conf": torch.zeros(84, 1)}, logits="conf", offsets="loc", family="f")
