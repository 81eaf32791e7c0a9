"""What the options of ``train`` stand for: a recipe, and the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge.cli.console import say
from ssd_edge.cli.train_option_types import PrecisionWish
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.training.config import Machine
from ssd_edge.workflows.train import measure_precision, processes_in_all

if TYPE_CHECKING:
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.training import recipe as recipes


def chosen_recipe(
    preset: str,
    *,
    recipe: Mapping[str, Any],
    optimisation: Mapping[str, Any],
    loss: Mapping[str, Any],
    precision: recipes.Precision,
) -> recipes.Recipe:
    """Return the preset's recipe with what the user asked for; None stands for the preset's own value.

    The schedule ``steps`` has no warm-up unless one is asked for.

    Args:
        preset: whose recipe.
        recipe: fields of :class:`ssd_edge.training.recipe.Recipe`.
        optimisation: fields of :class:`ssd_edge.training.recipe.Optimisation`.
        loss: fields of :class:`ssd_edge.training.recipe.LossOptions`.
        precision: of the convolutions.
    """
    from ssd_edge.training.recipe import LossOptions, recipe_for

    own = recipe_for(preset)
    asked = _given(optimisation)
    if asked.get("schedule") == "steps":
        asked = {"warmup_share": 0.0, **asked}  # the paper's rate begins at its peak
    settings = dataclasses.replace(own.optimisation, precision=precision, loss=LossOptions(**_given(loss)), **asked)
    return dataclasses.replace(own, optimisation=settings, **_given(recipe))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def chosen_precision(spec: ModelSpec, precision: PrecisionWish, machine: Machine) -> recipes.Precision:
    """Return the precision of the convolutions; what ``auto`` chose is printed.

    On a GPU it is bfloat16 where that has it, else float16. On a processor both are measured; several processes would
    measure different things, and take float32.

    Raises:
        InputError: float16 on a processor.
    """
    import torch

    on_gpu = torch.cuda.is_available() and machine.device in ("auto", "cuda")
    if precision == "float16" and not on_gpu:
        raise InputError("float16 needs a GPU", got=f"--device {machine.device}", wanted="bfloat16 or float32 here")
    if precision != "auto":
        return precision
    if on_gpu:
        chosen: recipes.Precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        say(f"using {chosen} on the GPU")
        return chosen
    return "float32" if processes_in_all(machine.devices) > 1 else _measured(spec)


def _measured(spec: ModelSpec) -> recipes.Precision:
    times = measure_precision(spec)
    chosen: recipes.Precision = "bfloat16" if times.bfloat16_pays else "float32"
    say(f"using {chosen}: here bfloat16 takes {times.bfloat16_s / times.float32_s:.2f} of float32's time")
    return chosen


def with_priors(spec: ModelSpec, preset: str, priors: Path | None) -> ModelSpec:
    """Return the spec with the default boxes of a file that ``data priors`` wrote; as it is where none is given.

    Raises:
        SsdEdgeError: the file cannot be used for this network and input size.
    """
    from ssd_edge.data.priors_file import PriorsFile

    if priors is None:
        return spec
    fitted = PriorsFile.load(priors).applied_to(spec, preset=preset, origin=priors)
    say(f"using the {fitted.anchors.count} default boxes of {priors}")
    return fitted


def listed(names: str | None) -> tuple[str, ...]:
    """Return names with commas between; nothing where nothing is given."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def class_names(classes: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas, or of a file's lines; None where nothing is given.

    Raises:
        InputError: there is no name, one is listed twice or is background, or the file cannot be read.
    """
    from ssd_edge.data.label_files import checked_class_names, read_class_file

    if classes is None:
        return None
    if _is_file(classes):
        return read_class_file(Path(classes))
    names = [name.strip() for name in classes.split(",") if name.strip()]
    return checked_class_names(names, origin=Path("--classes"))


def _is_file(classes: str) -> bool:
    try:
        return path_kind(Path(classes)) == "file"
    except InputError:  # a list that is too long for a file's name
        return False
