"""Weights of other projects, as checkpoints of ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import file_digest
from ssd_edge.core.log import log
from ssd_edge.core.spec import ModelSpec
from ssd_edge.importing import torchvision
from ssd_edge.importing.amdegroot import AMDEGROOT
from ssd_edge.importing.family import Family, StateDict, looks_like, nearest_way
from ssd_edge.importing.labels import read_labels
from ssd_edge.importing.lufficc import LUFFICC
from ssd_edge.importing.nvidia import NVIDIA
from ssd_edge.importing.pytorch_ssd import PYTORCH_SSD
from ssd_edge.importing.state_dict import read_state_dict
from ssd_edge.importing.ultra_light import ULTRA_LIGHT
from ssd_edge.importing.unwrap import without_prefixes
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights

FAMILIES: tuple[Family, ...] = (
    torchvision.SSD300,
    torchvision.SSDLITE320,
    *PYTORCH_SSD,
    *ULTRA_LIGHT,
    AMDEGROOT,
    *LUFFICC,
    NVIDIA,
)
"""At most one of them matches any file, so their order does not matter."""


@dataclass(frozen=True)
class ImportReport:
    """Result of an import.

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


def import_weights(
    path: Path,
    output: Path,
    *,
    labels: Path | None = None,
    name: str | None = None,
    size: tuple[int, int] | None = None,
) -> ImportReport:
    """Recognize the weights in ``path`` and write them to ``output`` as a checkpoint.

    Nothing in the file is executed.

    Args:
        path: a state dict saved by ``torch.save``, plain or in a wrapper such as ``{"model": …}``.
        output: the checkpoint, usually ``runs/<name>/best.pt``.
        labels: text file with a class a line; a first line BACKGROUND is skipped.
        name: of the model; by default the name of the preset that it equals.
        size: (width, height) that it was trained at, in pixels, for projects whose files do not say it.

    Raises:
        InputError: a file cannot be read or written, or the labels do not fit the weights.
        ArtifactError: the file is damaged, or its weights are of no known SSD.
    """
    given = None if labels is None else read_labels(labels)
    state_dict = without_prefixes(read_state_dict(path), lambda names: any(f.matches(names) for f in FAMILIES))
    family = recognize(state_dict, origin=str(path))
    model = _at_size(family, family.convert(state_dict, given), size)
    if name is not None:
        model.spec = dataclasses.replace(model.spec, name=name)
    save_checkpoint(output, model)
    return ImportReport(output, model.spec, family.name, family.source, file_digest(path), given is not None)


def recognize(state_dict: StateDict, *, origin: str) -> Family:
    """Return the family that the tensors belong to; ``origin`` names them.

    Raises:
        ArtifactError: they belong to none.
    """
    for family in FAMILIES:
        if family.matches(state_dict):
            return family
    raise ArtifactError(
        f"{origin} does not contain the weights of an SSD that can be imported",
        got=looks_like(state_dict),
        wanted="weights of one of " + ", ".join(family.name for family in FAMILIES),
        do=nearest_way(state_dict),
    )


def _at_size(family: Family, model: SSD, size: tuple[int, int] | None) -> SSD:
    """Return the network at the size that its weights were trained at; say what is assumed where none is given."""
    own = (model.spec.input.width, model.spec.input.height)
    if family.resized is None:
        if size is not None and size != own:
            got, wanted = (f"{width}x{height}" for width, height in (size, own))
            raise InputError(f"{family.name} has only one input size", got=got, wanted=wanted)
        return model
    if size is None:
        log.info(
            f"{family.name}: the file does not contain its input size, so {own[0]}x{own[1]} is assumed; for weights "
            "that were trained at another size: --input-size"
        )
        return model
    if size == own:
        return model
    return with_weights(family.resized(model.spec, size), model.state_dict(), origin=family.name)
