"""The number of candidates of a trained network's NMS: more than its preset's where that finds more objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.runs import record_run
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.spec import MANY_CANDIDATES, NmsSpec
from ssd_edge.evaluation.evaluate import class_numbers, renumbered
from ssd_edge.evaluation.mean_ap import mean_average_precision
from ssd_edge.model.checkpoint import load_checkpoint, save_checkpoint
from ssd_edge.model.predict import TorchDetector, find_device, torch_threads
from ssd_edge.model.weights import with_weights

_MOST_IMAGES = 200  # of the validation images
_WORTHWHILE = 0.001  # of mAP@0.5, for half a millisecond a frame in ONNX Runtime


def choose_candidates(
    best: Path, labelled: LabelledSet, *, device: str, cores: int, progress: Progress = silent
) -> None:
    """Give a checkpoint as many candidates as its validation images need; what that gains is logged.

    An exported graph looks at a fixed number of candidates, the best (box, class) pairs of an image: where many objects
    are close together, the preset's number leaves some out. The number belongs to the spec, so that checkpoint, ONNX
    and engine agree. The run is over by then: where this fails, the checkpoint stays as it is, and a warning says so.

    Args:
        best: the checkpoint; written again where it gains.
        labelled: what it was validated on; at most 200 of its images, evenly spread, are looked at.
        device: that computes, as PyTorch names it.
        cores: of the processor.
        progress: receives the images.
    """
    try:
        _choose(best, labelled, device, cores, progress)
    except SsdEdgeError as error:
        log.warning(f"the number of candidates of {best} stays as it is: {error}")
    except KeyboardInterrupt:
        log.warning(
            f"{best} is complete, but the number of its candidates was not chosen; to consider more in crowded scenes, "
            f"give ssd-edge export the option --max-candidates {MANY_CANDIDATES}"
        )
        raise


def _choose(best: Path, labelled: LabelledSet, device: str, cores: int, progress: Progress) -> None:
    loaded = load_checkpoint(best)
    few = loaded.spec.nms
    if few.max_candidates >= MANY_CANDIDATES:
        return
    many = replace(few, max_candidates=MANY_CANDIDATES, top_k=max(few.top_k, MANY_CANDIDATES))
    with torch_threads(cores):
        detector = TorchDetector(loaded.model.to(find_device(device)))
        before, after = _mean_aps(detector, (few, many), labelled, progress)
    if after - before < _WORTHWHILE:
        return
    spec = replace(loaded.spec, nms=many)
    save_checkpoint(best, with_weights(spec, loaded.model.cpu().state_dict(), origin=str(best)), loaded.metrics)
    record_run(best, "trained")
    log.info(
        f"the exported NMS will consider the best {MANY_CANDIDATES} (box, class) pairs of an image, not "
        f"{few.max_candidates}: this raises mAP@0.5 on the validation images from {before:.4f} to {after:.4f}"
    )


def _mean_aps(
    detector: TorchDetector, limits: Sequence[NmsSpec], labelled: LabelledSet, progress: Progress
) -> list[float]:
    """Return the mean AP at each of several limits; images that cannot be read are left out, as they were before."""
    numbers = class_numbers(detector.spec.class_names, labelled)
    looked_at = labelled.samples[:: -(-len(labelled) // _MOST_IMAGES)]
    samples, found = list[Sample](), list[list[Detections]]()
    for done, sample in enumerate(looked_at, start=1):
        progress(done, len(looked_at))
        try:
            image = read_image(sample.image)
        except InputError:
            continue
        samples.append(sample)
        found.append([renumbered(entry, numbers) for entry in detector.detect_within(image, limits)])
    if all(sample.difficult.all() for sample in samples):
        return [0.0] * len(limits)
    return [
        mean_average_precision(entries, samples, labelled.class_names).mean_ap for entries in zip(*found, strict=True)
    ]
