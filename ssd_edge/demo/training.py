"""The demo's training: a run like that of ``ssd-edge train --preset ssd192-tiny --minutes 4 --no-flip``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.core.requirements import require_training
from ssd_edge.core.run_data import RunData
from ssd_edge.demo.plan import MODEL_NAME, PRESET, DemoFiles, DemoPlan
from ssd_edge.training.config import Machine, TrainingPlan
from ssd_edge.workflows.train import SayEpochs, default_workers, measure_precision, run_training

if TYPE_CHECKING:
    from ssd_edge.demo.step_cache import Done, Facts

_SEED = 1


def train_model(plan: DemoPlan, files: DemoFiles, _before: Sequence[Done]) -> Facts:
    """``train``: the preset from random weights, in bfloat16 where that is faster here."""
    require_training()
    with bar("training") as progress:
        run = run_training(_training_plan(plan, files), observers=[SayEpochs()], progress=progress)
    RunData(str(files.data.resolve()), "train", "val").save(files.run)  # what `build --int8` calibrates on there
    views = sum(record.images for record in run.records)
    return {"detail": f"mAP@0.5 {run.best_mean_ap or 0:.3f} on pictures to choose by, {views} views learnt from"}


def _training_plan(plan: DemoPlan, files: DemoFiles) -> TrainingPlan:
    """Return the preset's recipe; views are never mirrored, as a sign that points left is not one that points right."""
    from ssd_edge.data.find import open_dataset
    from ssd_edge.model.zoo import make_spec
    from ssd_edge.training.recipe import Precision, recipe_for

    learnt = open_dataset(files.data, "train")
    spec = make_spec(PRESET, learnt.class_names, input_size=plan.input_size, name=MODEL_NAME)
    recipe = recipe_for(PRESET)
    precision: Precision = "bfloat16" if measure_precision(spec).bfloat16_pays else "float32"
    return TrainingPlan(
        spec=spec,
        learnt=learnt,
        judged=open_dataset(files.data, "val", learnt.class_names),
        recipe=dataclasses.replace(
            recipe,
            batch_size=plan.batch_size or recipe.batch_size,
            optimisation=dataclasses.replace(recipe.optimisation, precision=precision),
        ),
        folder=files.run,
        minutes=plan.minutes,
        horizontal_flip=False,
        seed=_SEED,
        machine=Machine(workers=default_workers() if plan.workers is None else plan.workers),
    )
