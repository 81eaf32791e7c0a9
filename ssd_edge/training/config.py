"""What a training run was asked to do, and its file plan.json, from which an interrupted run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.core.files import text_digest, written_beside
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.training.recipe import Recipe

_NAME = "plan.json"
_FORMAT = "ssd-edge/training-plan/2"


@dataclass(frozen=True)
class Machine:
    """Where a run learns; another machine may go on with it.

    Attributes:
        device: auto, cpu, cuda or mps.
        devices: processes, each with a device of its own.
        workers: processes that prepare batches, for each of them.
        cores: of the processor, that the network learns on; None for all that the process may use.
        save_every_s: seconds from one saved state to the next within an epoch.
    """

    device: Any = "cpu"
    devices: int = 1
    workers: int = 1
    cores: int | None = None
    save_every_s: float = 300.0


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, on what, and for how long.

    Attributes:
        spec: of the network; its classes are those of the pictures.
        learnt: pictures to learn from.
        judged: pictures by which the best epoch is chosen.
        recipe: batch size, augmentation, learning rate and the like.
        folder: where checkpoints and metrics go.
        minutes: of training with validation; None for the recipe's epochs.
        horizontal_flip: mirror half of the views, where the augmentation mirrors at all.
        seed: of weights, order and views.
        backbone: what to fill the backbone from; None leaves it random.
        machine: where.
    """

    spec: ModelSpec
    learnt: LabelledSet
    judged: LabelledSet
    recipe: Recipe
    folder: Path
    minutes: float | None = None
    horizontal_flip: bool = True
    seed: int = 0
    backbone: str | None = None
    machine: Machine = Machine()

    def save(self) -> None:
        """Write it into the run's folder, without the pictures but with their digests."""
        content = {
            "format": _FORMAT,
            "spec": self.spec.to_json(),
            "learnt": _pictures_digest(self.learnt),
            "judged": _pictures_digest(self.judged),
            "recipe": asdict(self.recipe),
            "minutes": self.minutes,
            "horizontal_flip": self.horizontal_flip,
            "seed": self.seed,
            "backbone": self.backbone,
        }
        with written_beside(self.folder / _NAME) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class SavedPlan:
    """What plan.json says; its pictures must be opened anew.

    Attributes:
        folder: of the run.
        spec: of the network.
        content: the rest, as it was written.
    """

    folder: Path
    spec: ModelSpec
    content: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> SavedPlan:
        """Read the plan of a run.

        Raises:
            InputError: the folder holds none.
            ArtefactError: it is damaged, or of another version.
        """
        path = folder / _NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content["format"]
            if found != _FORMAT:
                raise ArtefactError(f"{path} was written by another version", got=repr(found), wanted=_FORMAT)
            return cls(folder, ModelSpec.from_json(content["spec"], origin=str(path)), content)
        except OSError as error:
            raise InputError(
                f"{folder} is no run that can go on", got=f"no {_NAME}", wanted="a run of train"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"{path} is damaged", got=str(error), wanted=_FORMAT, do="Train again.") from error

    def with_pictures(self, learnt: LabelledSet, judged: LabelledSet, machine: Machine) -> TrainingPlan:
        """Return the whole plan.

        Raises:
            InputError: the pictures or their labels are not those that the run learnt from.
            ArtefactError: the file is damaged.
        """
        self._refuse_others("learnt", learnt, "what the run learnt from")
        self._refuse_others("judged", judged, "what the run was judged by")
        try:
            return TrainingPlan(
                spec=self.spec,
                learnt=learnt,
                judged=judged,
                recipe=_recipe(self.content["recipe"]),
                folder=self.folder,
                minutes=self.content["minutes"],
                horizontal_flip=self.content["horizontal_flip"],
                seed=self.content["seed"],
                backbone=self.content["backbone"],
                machine=machine,
            )
        except (KeyError, TypeError) as error:
            path = self.folder / _NAME
            raise ArtefactError(f"{path} is damaged", got=str(error), wanted=_FORMAT, do="Train again.") from error

    def _refuse_others(self, key: str, labelled: LabelledSet, role: str) -> None:
        digest, wanted = _pictures_digest(labelled), str(self.content.get(key))
        if digest != wanted:
            raise InputError(
                f"{labelled.origin} is not {role} any more",
                got=f"{len(labelled)} pictures with digest {digest[:19]}…",
                wanted=f"digest {wanted[:19]}…",
                do="Put pictures and labels back as they were, or start a new run.",
            )


def _pictures_digest(labelled: LabelledSet) -> str:
    """Of labels, names and lengths of the files: to read all pictures would take minutes where there are many."""
    try:
        lengths = [str(sample.image.stat().st_size) for sample in labelled.samples]
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read", got=error.strerror or str(error)) from error
    return text_digest("\n".join([labelled.digest, *lengths]))


def _recipe(content: dict[str, Any]) -> Recipe:
    from ssd_edge.training.recipe import LossOptions, Optimisation, Recipe

    settings = content["optimisation"]
    loss = LossOptions(**settings["loss"])
    optimisation = Optimisation(**{**settings, "frozen": tuple(settings["frozen"]), "loss": loss})
    return Recipe(**{**content, "optimisation": optimisation})
