"""What cannot be asked of a labelling."""

from __future__ import annotations

import pytest

from ssd_edge.core.choices import LabelEngine
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.label_config import LabelConfig


def test_ray_assigns_the_gpus_itself() -> None:
    with pytest.raises(InputError, match="number of a device.*got device cuda:1; wanted device cuda"):
        LabelConfig(engine=LabelEngine.RAY, device="cuda:1")
    assert LabelConfig(engine=LabelEngine.RAY, device="cuda").device == "cuda"
    assert LabelConfig(device="cuda:1").device == "cuda:1", "on this machine it can be chosen"
