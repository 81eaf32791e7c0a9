"""The imported file, written only after it has proved itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from ssd_edge.core.errors import ArtefactError, ParityError
from ssd_edge.core.files import written_beside
from ssd_edge.core.spec import ModelSpec
from ssd_edge.importing.graphs.free_batch import with_free_batch, with_single_batch
from ssd_edge.importing.graphs.probe import Probe
from ssd_edge.importing.graphs.surgery import Reading, finished, scored_boxes
from ssd_edge.importing.graphs.verify import Agreement, verify


@dataclass(frozen=True)
class GraphPlan:
    """What the file shall be, and what it has to agree with.

    Attributes:
        spec: of the imported model.
        reading: how the foreign answers are read.
        probe: pictures and foreign answers.
        source_digest: of the foreign file.
    """

    spec: ModelSpec
    reading: Reading
    probe: Probe
    source_digest: str


def write_graph(model: onnx.ModelProto, plan: GraphPlan, target: Path) -> tuple[bool, Agreement]:
    """Write ``target`` for any number of pictures if it proves right for several at once, or else for one.

    Returns:
        Whether it takes any number, and how near it is to the foreign graph.

    Raises:
        InputError: the file cannot be written.
        ArtefactError: the graphs do not go together.
        ParityError: it finds something else than the foreign graph; ``target`` is left as it was.
    """
    try:
        return True, _write_verified(with_free_batch(model), plan, target, together=True)
    except (ParityError, ArtefactError):
        return False, _write_verified(with_single_batch(model), plan, target, together=False)


def _write_verified(model: onnx.ModelProto, plan: GraphPlan, target: Path, *, together: bool) -> Agreement:
    scored = scored_boxes(model, plan.spec, plan.reading)
    with written_beside(target) as partial:
        onnx.save(finished(scored, plan.spec, plan.source_digest), partial)
        return verify(partial, scored, plan.spec, plan.reading, plan.probe, together=together)
