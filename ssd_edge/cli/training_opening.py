"""The lines that a training begins with: every choice, those that the user left open too."""

from __future__ import annotations

from ssd_edge.cli.console import say
from ssd_edge.training.config import TrainingPlan
from ssd_edge.workflows.train import processes_in_all


def say_plan(plan: TrainingPlan, preset: str) -> None:
    """Say what is learnt from, what is judged by, and which network learns how."""
    recipe, rate = plan.recipe, plan.recipe.optimisation.learning_rate
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{recipe.epochs} epochs"
    mirrored = "mirrored" if plan.horizontal_flip and recipe.augmentation != "none" else "not mirrored"
    say(f"learning from {plan.learnt.origin}: {len(plan.learnt)} images, {plan.learnt.object_count} objects")
    _say_empty(plan)
    if {sample.image for sample in plan.judged.samples} & {sample.image for sample in plan.learnt.samples}:
        say(
            "some pictures to choose the best epoch by are learnt from too: their mAP says nothing about other pictures"
        )
    say(f"judging by {plan.judged.origin}: {len(plan.judged)} images; classes: {', '.join(plan.spec.class_names)}")
    say(
        f"{preset} at {plan.spec.input.height} x {plan.spec.input.width} from {_beginning(plan)}, {length}, "
        f"{_images_a_step(plan)} images a step, peak learning rate {rate:g} ({recipe.optimisation.schedule}), "
        f"augmentation {recipe.augmentation}, {mirrored}, seed {plan.seed}, {plan.machine.workers} workers"
    )
    say(f"writing {plan.folder}")


def _say_empty(plan: TrainingPlan) -> None:
    loss, count = plan.recipe.optimisation.loss, plan.learnt.empty_count
    if not count or loss.classification == "focal" or loss.negatives_of_empty:
        return
    hold, them = ("s hold", "them") if count > 1 else (" holds", "it")
    say(f"{count} picture{hold} no object: the loss learns nothing from {them}; --empty-negatives 3 makes {them} count")


def _beginning(plan: TrainingPlan) -> str:
    return f"the backbone of {plan.backbone}" if plan.backbone else "random weights"


def _images_a_step(plan: TrainingPlan) -> str:
    settings, processes = plan.recipe.optimisation, processes_in_all(plan.machine.devices)
    factors = [(settings.accumulate, "batches"), (processes, "devices")]
    named = "".join(f" x {number} {what}" for number, what in factors if number > 1)
    return f"{plan.recipe.batch_size}{named}"
