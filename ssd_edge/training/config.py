"""The plan of a run, with nothing left open, and its file plan.json, from which an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ssd_edge.backends import cpu
from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import text_digest, written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.ranks import world_size
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.secrets import hide_in_url
from ssd_edge.core.spec import ModelSpec
from ssd_edge.training.recipe import Device, Recipe

_NAME = "plan.json"
_ADDED = frozenset({"weights_note", "limit_minutes", "threads"})  # fields that plans of this version may lack
_FORMAT = "ssd-edge/training-plan/2"
_FORM = Format(_FORMAT, "plan of a training run", "Train again.")


@dataclass(frozen=True)
class Machine:
    """Devices of a run; a resumed run may use other devices or another machine.

    Attributes:
        device: ``auto`` is the GPU where there is one.
        devices: processes on this machine, each with a device of its own.
        workers: processes that prepare batches, for each of them.
        cores: of the processor, for the network; None for all that the process may use.
        save_every_s: seconds from one saved state to the next within an epoch.
    """

    device: Device = "cpu"
    devices: int = 1
    workers: int = 1
    cores: int | None = None
    save_every_s: float = 300.0


@dataclass(frozen=True)
class TrainingPlan:
    """Plan of a training run: network, data and duration.

    Attributes:
        spec: of the network; its classes are those of the data.
        train_set: labelled images to train on.
        val_set: labelled images that the best epoch is chosen by.
        recipe: batch size, augmentation, learning rate and the like.
        folder: where checkpoints and metrics go.
        minutes: of training with validation; None for the recipe's epochs.
        limit_minutes: that the recipe's epochs may take; None for no limit.
        horizontal_flip: mirror half of the views, where the augmentation mirrors at all.
        seed: of weights, order and views.
        backbone: what to fill the backbone from; None leaves it random.
        weights_note: where the weights to begin with are from, or why they are random.
        threads: of a processor, asked for or chosen when the run began; None for all cores.
        machine: where.
    """

    spec: ModelSpec
    train_set: LabelledSet
    val_set: LabelledSet
    recipe: Recipe
    folder: Path
    minutes: float | None = None
    horizontal_flip: bool = True
    seed: int = 0
    backbone: str | None = None
    weights_note: str = ""
    limit_minutes: float | None = None
    threads: int | None = None
    machine: Machine = Machine()

    @property
    def cores(self) -> int:
        """Cores of the processor to train on: those asked for, now or when the run began, or else all."""
        everything = cpu.physical_cores()
        return self.machine.cores or min(self.threads or everything, everything)

    def save(self) -> None:
        """Write it into the run's folder, without the images but with their digests."""
        content = {
            "format": _FORMAT,
            "spec": self.spec.to_json(),
            "learnt": _images_digest(self.train_set),
            "judged": _images_digest(self.val_set),
            "recipe": asdict(self.recipe),
            "minutes": self.minutes,
            "horizontal_flip": self.horizontal_flip,
            "seed": self.seed,
            "backbone": self.backbone and hide_in_url(self.backbone),
            "weights_note": self.weights_note,
            "limit_minutes": self.limit_minutes,
            "threads": self.threads,
        }
        with written_beside(self.folder / _NAME) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def summary(self, preset: str) -> list[str]:
        """Return the lines that a run begins with: every choice, those that the user left open too."""
        recipe, settings = self.recipe, self.recipe.optimisation
        length = f"{self.minutes:g} minutes" if self.minutes else f"{recipe.epochs} epochs"
        length += f" in at most {self.limit_minutes:g} minutes" if self.limit_minutes else ""
        mirrored = "mirrored" if self.horizontal_flip and recipe.augmentation != "none" else "not mirrored"
        beginning = f"the backbone of {self.backbone}" if self.backbone else "random weights"
        train, val, size = self.train_set, self.val_set, self.spec.input
        return [
            f"learning from {train.origin}: {len(train)} images, {train.object_count} objects",
            *([self.weights_note] if self.weights_note else []),
            *self._warnings(),
            f"validating on {val.origin}: {len(val)} images; classes: {', '.join(self.spec.class_names)}",
            (
                f"{preset} at {size.height} x {size.width} from {beginning}, {length}, {self._images_a_step()} images "
                f"per step, peak learning rate {settings.learning_rate:g} ({settings.schedule}), augmentation "
                f"{recipe.augmentation}, {mirrored}, seed {self.seed}, {self.machine.workers} workers"
            ),
            f"writing {self.folder}",
        ]

    def _warnings(self) -> list[str]:
        """Return what to know of images that teach nothing, and of a split that is used twice."""
        said, loss, empty = [], self.recipe.optimisation.loss, self.train_set.empty_count
        if empty and loss.classification != "focal" and not loss.negatives_of_empty:
            hold, are, them = ("s contain", "are", "them") if empty > 1 else (" contains", "is", "it")
            said.append(f"{empty} image{hold} no object and {are} not trained on; to use {them}: --empty-negatives 3")
        if {sample.image for sample in self.val_set.samples} & {sample.image for sample in self.train_set.samples}:
            said.append("some validation images are also training images: the mAP says nothing about other images")
        return said

    def _images_a_step(self) -> str:
        factors = [
            (self.recipe.optimisation.accumulate, "batches"),
            (world_size(self.machine.devices), "devices"),
        ]
        return f"{self.recipe.batch_size}" + "".join(f" x {number} {what}" for number, what in factors if number > 1)


@dataclass(frozen=True)
class _PlanFile:
    """Contents of plan.json: the plan, with its images as digests."""

    spec: ModelSpec
    learnt: str
    judged: str
    recipe: Recipe
    minutes: float | None
    horizontal_flip: bool
    seed: int
    backbone: str | None
    weights_note: str = ""
    limit_minutes: float | None = None
    threads: int | None = None


@dataclass(frozen=True)
class SavedPlan:
    """Return the plan of plan.json; its images must be opened again.

    Attributes:
        folder: of the run.
        content: as it was written.
    """

    folder: Path
    content: _PlanFile

    @classmethod
    def load(cls, folder: Path) -> SavedPlan:
        """Read the plan of a run.

        Raises:
            InputError: the folder holds none.
            ArtifactError: it is damaged, or of another version.
        """
        path = folder / _NAME
        if not path.is_file():
            raise InputError(
                f"{folder} is not a run that can be resumed", got=f"no {_NAME}", wanted="a run of ssd-edge train"
            )
        parts = {"spec": lambda text: ModelSpec.from_json(text, origin=str(path))}
        return cls(folder, read_artifact(path, _PlanFile, _FORM, parts=parts, optional=_ADDED))

    @property
    def spec(self) -> ModelSpec:
        """Of the network."""
        return self.content.spec

    def with_images(self, train_set: LabelledSet, val_set: LabelledSet, machine: Machine) -> TrainingPlan:
        """Return the whole plan.

        Raises:
            InputError: the images or their labels are not those that the run trained on.
        """
        self._check_same(self.content.learnt, train_set, "what the run trained on")
        self._check_same(self.content.judged, val_set, "what the run was validated on")
        return TrainingPlan(
            spec=self.spec,
            train_set=train_set,
            val_set=val_set,
            recipe=self.content.recipe,
            folder=self.folder,
            minutes=self.content.minutes,
            horizontal_flip=self.content.horizontal_flip,
            seed=self.content.seed,
            backbone=self.content.backbone,
            weights_note=self.content.weights_note,
            limit_minutes=self.content.limit_minutes,
            threads=self.content.threads,
            machine=machine,
        )

    def _check_same(self, wanted: str, labelled: LabelledSet, role: str) -> None:
        digest = _images_digest(labelled)
        if digest != wanted:
            raise InputError(
                f"{labelled.origin} has changed and is no longer {role}",
                got=f"{len(labelled)} images with digest {digest[:19]}…{_first(labelled.left_out)}",
                wanted=f"digest {wanted[:19]}…",
                do="Restore the images and labels, or start a new run.",
            )


def _first(left_out: Sequence[LeftOut]) -> str:
    return f", and {len(left_out)} that cannot be used, for example {left_out[0]}" if left_out else ""


def _images_digest(labelled: LabelledSet) -> str:
    """Of labels, names and lengths of the files: to read all images would take minutes where there are many."""
    try:
        lengths = [str(sample.image.stat().st_size) for sample in labelled.samples]
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror or error})") from error
    return text_digest("\n".join([labelled.digest, *lengths]))
