"""The demo's training: ``ssd-edge train --preset ssd192-tiny --minutes 4 --no-flip``, with a seed of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bars
from ssd_edge.core.requirements import require_training
from ssd_edge.demo.plan import MODEL_NAME, PRESET, DemoFiles, DemoPlan

if TYPE_CHECKING:
    from ssd_edge.demo.step_cache import Done, Facts

_SEED = 1


def train_model(plan: DemoPlan, files: DemoFiles, _before: Sequence[Done]) -> Facts:
    """``train``: the preset from random weights, in bfloat16 where that is faster here.

    Views are never mirrored: a sign that points left is not one that points right.
    """
    require_training()
    from ssd_edge.workflows.train import train

    shutil.rmtree(files.run, ignore_errors=True)  # an older one, of other data or another plan
    with bars() as progress:
        run = train(
            files.data,
            preset=PRESET,
            name=MODEL_NAME,
            input_size=plan.input_size,
            minutes=plan.minutes,
            batch_size=plan.batch_size,
            workers=plan.workers,
            seed=_SEED,
            device="cpu",
            flip=False,
            check=False,
            tensorboard=False,
            report=False,
            progress=progress,
            workspace=files.folder,
        )
    views = sum(record.images for record in run.epochs)
    return {"detail": f"mAP@0.5 {run.mean_ap:.3f} on pictures to choose by, {views} views learnt from"}
