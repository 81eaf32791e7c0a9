"""Label: images by the thousand or million to rows of detections, on one machine, in shards, or on a cluster."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.backends.cpu import physical_cores
from ssd_edge.backends.detector import Detector, is_for_gpu
from ssd_edge.core.choices import LabelEngine
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress, ProgressCallback, no_progress, stage
from ssd_edge.core.requirements import require_labelling
from ssd_edge.core.resources import with_named_resources
from ssd_edge.labelling.job import Job, JobFolder
from ssd_edge.labelling.labeller import Labeller
from ssd_edge.labelling.on_ray import Resources, joined, label_on_ray, model_facts_on_ray
from ssd_edge.labelling.opener import ModelFacts
from ssd_edge.labelling.plan import PlanReader
from ssd_edge.labelling.pre_labels import check_can_be_written, write_pre_labels
from ssd_edge.labelling.rows import remove_partials
from ssd_edge.labelling.run import label_units, remove_failed
from ssd_edge.labelling.summary import LabelSummary, summarize
from ssd_edge.workflows.label_config import LabelConfig, LabelOptions
from ssd_edge.workflows.label_model import ModelOpener, read_video
from ssd_edge.workflows.load import find_model
from ssd_edge.workflows.training_statistics import training_statistics

SUMMARY_NAME = "summary.json"
SUMMARY_TAG = "ssd-edge/label-summary/1"


@dataclass(frozen=True)
class LabelResult:
    """Result of a run of labelling, and the contents of its folder.

    Attributes:
        path: the folder of the job; its rows are in ``parts/``.
        model: that labelled.
        labelled: images of this run; what was done before it is not counted.
        seconds: of this run's labelling.
        summary: of the whole folder.
        labels: the data set of pre-labels; None where none was asked for, or images wait for other shards.
        small_boxes: that the layout of the pre-labels cannot hold.
        left_out_count: images that cannot be read, and entries of the sources that are none.
        left_out: of these the first hundred each.
    """

    path: Path
    model: Path
    labelled: int
    seconds: float
    summary: LabelSummary
    labels: Path | None = None
    small_boxes: int = 0
    left_out_count: int = 0
    left_out: tuple[LeftOut, ...] = ()

    @property
    def images_per_second(self) -> float:
        """Of this run."""
        return self.labelled / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> str:
        """Return all figures as JSON."""
        run = {"images": self.labelled, "seconds": round(self.seconds, 3)}
        run["images_per_second"] = round(self.images_per_second, 2)
        left_out = [{"what": entry.what, "why": entry.why} for entry in self.left_out]
        fields = {"format": SUMMARY_TAG, "model": str(self.model), "run": run, **dataclasses.asdict(self.summary)}
        return json.dumps({**fields, "left_out": left_out, "left_out_count": self.left_out_count}, indent=1) + "\n"


@with_named_resources
def label(
    sources: AnyPath | Sequence[AnyPath],
    model: AnyPath | None = None,
    *,
    config: LabelConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[LabelOptions],
) -> LabelResult:
    """Detect on every image of the sources, and write a row each into Parquet files of a folder.

    A run that was ended, by a kill too, goes on when it is called again with the same folder: each image gets one row.
    Another job in the folder is refused: other sources, model, threshold, batch, or version of what computes.
    An image that cannot be read is a row with its error.

    Args:
        sources: folders, images, videos, ``.tar`` (WebDataset), ``.txt`` with a path in each line, ``.parquet`` with a
            column ``path`` and perhaps ``id``; one or a list.
        model: a ``.pt``, ``.onnx`` or ``.engine``; by default the workspace's current engine, or another form of its
            model.
        config: see :class:`LabelConfig`; or its fields as keywords.
        progress: called in the stages ``listing``, ``labelling`` and ``counting``, in parts.
        workspace: folder with ``engines/``, for a model that is not named, and ``runs/``, for its training set.
        options: fields of the config.

    Raises:
        InputError: a source, an option or the folder cannot be used, or not one of the images can be read.
        ArtifactError: the model cannot be used, or a part is damaged.
        DeviceError: the GPU or the cluster is absent or fails.
        MissingPackageError: PyArrow, Ray or the model's runtime is not installed.
    """
    chosen = config_from(LabelConfig, config, options)
    require_labelling(ray=chosen.engine is LabelEngine.RAY)
    named = [sources] if isinstance(sources, (str, Path)) or not isinstance(sources, Sequence) else list(sources)
    path = find_model(workspace) if model is None else Path(model)
    run = _Run(chosen, path, [str(Path(source)) for source in named], Path(workspace))
    with joined() if chosen.engine is LabelEngine.RAY else nullcontext():
        with stage(progress, "listing"):
            folder = run.folder
        if chosen.format is not None:
            check_can_be_written(folder)
        began = time.monotonic()
        with stage(progress, "labelling") as report:
            labelled = run.label(report)
        seconds = time.monotonic() - began
    with stage(progress, "counting"):
        return run.result(labelled, seconds)


@dataclass(frozen=True, eq=False)
class _Run:
    """One call."""

    config: LabelConfig
    model: Path
    sources: list[str]
    workspace: Path

    @cached_property
    def opener(self) -> ModelOpener:
        return ModelOpener(str(self.model.absolute()), self.config.device, self.config.score_threshold)

    @cached_property
    def threads(self) -> int:
        return self.config.threads or physical_cores()

    @cached_property
    def detector(self) -> Detector:
        return self.opener.open(self.threads)

    @cached_property
    def folder(self) -> JobFolder:
        """The job's folder, entered; nothing is written before the model is open."""
        facts = self._facts()
        job = Job(
            model=facts.name,
            model_digest=file_digest(self.model),
            class_names=facts.class_names,
            runtime=facts.runtime,
            opencv=facts.opencv,
            score_threshold=facts.score_threshold,
            batch=facts.batch_size(self.config.batch),
            every=self.config.every,
            images_per_part=self.config.images_per_part,
        )
        return JobFolder.enter(self.config.output, job, self.sources)

    def _facts(self) -> ModelFacts:
        """Return what the job takes over from its model, which on a cluster is opened on a node that can run it."""
        if self.config.engine is LabelEngine.RAY:
            return model_facts_on_ray(self.opener, self._resources)
        return ModelFacts.of(self.detector, self.opener)

    @property
    def _resources(self) -> Resources:
        return Resources(self.config.threads, int(is_for_gpu(self.model) or self.config.device.startswith("cuda")))

    def label(self, report: Progress) -> int:
        """Label what waits, and return how many images that were."""
        if self.config.retry_errors:
            remove_failed(self.folder, self.config.shard)
        units = self.folder.waiting(self.config.shard)
        log.info(f"{self.folder.path}: {len(units)} of {self.folder.job.parts} parts to label")
        if self.config.engine is LabelEngine.RAY:
            if not units:
                return 0
            return label_on_ray(self.folder, units, self._resources, self.opener, read_video, report)
        images = 0
        with self.detector as detector, self._labeller(detector) as labeller, self._plan() as plan:
            device = self.opener.device()
            for done, (_, count) in enumerate(label_units(self.folder, plan, labeller, units, device), start=1):
                images += count
                report(done, len(units))
        return images

    def _plan(self) -> PlanReader:
        return PlanReader(self.folder.plan_path)

    def _labeller(self, detector: Detector) -> Labeller:
        job = self.folder.job
        return Labeller(detector, batch=job.batch, threads=self.threads, every=job.every, open_video=read_video)

    def result(self, labelled: int, seconds: float) -> LabelResult:
        """Count what the folder holds, and write summary and pre-labels."""
        dataset, training = training_statistics(self.model, self.folder.job.model, self.workspace)
        summary, unread = summarize(self.folder, training, dataset)
        if summary.complete:
            remove_partials(self.folder.parts_path, everyones=True)
        labels, small = None, 0
        if summary.complete and self.config.format is not None:
            labels, small = write_pre_labels(self.folder, self.config.format.value)
        not_listed = self.folder.not_listed
        result = LabelResult(
            path=self.folder.path,
            model=self.model,
            labelled=labelled,
            seconds=seconds,
            summary=summary,
            labels=labels,
            small_boxes=small,
            left_out_count=summary.errors + not_listed.count,
            left_out=(*not_listed.named, *unread),
        )
        with written_beside(self.folder.path / SUMMARY_NAME) as partial:
            partial.write_text(result.to_json(), encoding="utf-8")
        if summary.complete and summary.errors == summary.images:
            raise InputError(
                "none of the images can be read",
                got=f"this first error: {unread[0]}",
                wanted="at least one image that can be read",
            )
        return result
