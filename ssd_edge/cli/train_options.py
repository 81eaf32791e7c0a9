"""What the options of ``train`` stand for: a recipe, and the classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssd_edge.cli.console import say
from ssd_edge.cli.training_run import measure_precision
from ssd_edge.core.errors import InputError

if TYPE_CHECKING:
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.training.recipe import Recipe

Augmentation = Literal["ssd", "ssdlite", "none"]
Precision = Literal["auto", "float32", "bfloat16"]
Schedule = Literal["cosine", "steps"]


def chosen_recipe(
    preset: str,
    spec: ModelSpec,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: Schedule = "cosine",
    augmentation: Augmentation | None = None,
    precision: Precision = "auto",
) -> Recipe:
    """Return the preset's recipe with what the user asked for; None stands for the preset's own value.

    Where the precision is ``auto`` both are measured, and the choice is printed.
    """
    from ssd_edge.training.recipe import recipe_for

    recipe = recipe_for(preset)
    return dataclasses.replace(
        recipe,
        epochs=epochs or recipe.epochs,
        batch_size=batch_size or recipe.batch_size,
        augmentation=augmentation or recipe.augmentation,
        optimisation=dataclasses.replace(
            recipe.optimisation,
            learning_rate=learning_rate or recipe.optimisation.learning_rate,
            schedule=schedule,
            bfloat16=_use_bfloat16(spec, precision),
        ),
    )


def _use_bfloat16(spec: ModelSpec, precision: Precision) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    times = measure_precision(spec)
    chosen = "bfloat16" if times.bfloat16_pays else "float32"
    say(f"using {chosen}: here bfloat16 takes {times.bfloat16_s / times.float32_s:.2f} of float32's time")
    return times.bfloat16_pays


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


def class_names(classes: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas, or of a file's lines; None where nothing is given.

    Raises:
        InputError: there is no name, or the file cannot be read.
    """
    if classes is None:
        return None
    file = Path(classes)
    listed = _read_lines(file) if file.is_file() else classes.split(",")
    names = tuple(name.strip() for name in listed if name.strip())
    if not names:
        raise InputError("--classes names no class", got=repr(classes), wanted="names, or a file with one a line")
    return names


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read", got=str(error), wanted="a text file, a class a line") from error
