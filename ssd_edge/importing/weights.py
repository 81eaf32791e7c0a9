"""Weights of other projects, as checkpoints of ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import file_digest
from ssd_edge.core.spec import ModelSpec
from ssd_edge.importing import torchvision
from ssd_edge.importing.amdegroot import AMDEGROOT
from ssd_edge.importing.family import Family, StateDict, looks_like
from ssd_edge.importing.labels import read_labels
from ssd_edge.importing.lufficc import LUFFICC
from ssd_edge.importing.nvidia import NVIDIA
from ssd_edge.importing.pytorch_ssd import PYTORCH_SSD
from ssd_edge.importing.state_dict import read_state_dict
from ssd_edge.model.checkpoint import save_checkpoint

FAMILIES: tuple[Family, ...] = (
    torchvision.SSD300,
    torchvision.SSDLITE320,
    *PYTORCH_SSD,
    AMDEGROOT,
    *LUFFICC,
    NVIDIA,
)
"""At most one of them matches any file, so their order does not matter."""


@dataclass(frozen=True)
class ImportReport:
    """What was imported.

    Attributes:
        path: the checkpoint that was written.
        spec: of the detector.
        family: name of the network in its own project.
        source: the project.
        digest: of the file that was read.
        labels_given: whether the user named the classes; otherwise they are built-in names chosen by their number.
    """

    path: Path
    spec: ModelSpec
    family: str
    source: str
    digest: str
    labels_given: bool


def import_weights(path: Path, output: Path, *, labels: Path | None = None, name: str | None = None) -> ImportReport:
    """Recognise the weights in ``path`` and write them to ``output`` as a checkpoint.

    Nothing in the file is executed.

    Args:
        path: a state dict saved by ``torch.save``, plain or in a wrapper such as ``{"model": …}``.
        output: the checkpoint, usually ``runs/<name>/best.pt``.
        labels: text file with a class a line; a first line BACKGROUND is skipped.
        name: of the model; by default the name of the preset that it equals.

    Raises:
        InputError: a file cannot be read or written, or the labels do not fit the weights.
        ArtifactError: the file is damaged, or its weights are of no known SSD.
    """
    given = None if labels is None else read_labels(labels)
    state_dict = read_state_dict(path)
    family = recognise(state_dict, origin=str(path))
    model = family.convert(state_dict, given)
    if name is not None:
        model.spec = dataclasses.replace(model.spec, name=name)
    save_checkpoint(output, model)
    return ImportReport(output, model.spec, family.name, family.source, file_digest(path), given is not None)


def recognise(state_dict: StateDict, *, origin: str) -> Family:
    """Return the family that the tensors belong to; ``origin`` names them.

    Raises:
        ArtifactError: they belong to none.
    """
    for family in FAMILIES:
        if family.matches(state_dict):
            return family
    raise ArtifactError(
        f"{origin} holds the weights of no SSD that can be imported",
        got=looks_like(state_dict),
        wanted="one of " + ", ".join(family.name for family in FAMILIES),
    )
