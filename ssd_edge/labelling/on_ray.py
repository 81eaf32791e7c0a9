"""Labelling on a Ray cluster: Ray Data hands units to actors, one for each GPU or group of cores.

Nothing is opened where the command runs: what the job must know of its model is asked of a node that can run it.

An actor writes a unit's part itself, whole or not at all. Ray calls a unit's task again where its node is lost: a part
that is there already is passed over, and one that two actors write has the same rows. So each image has one row.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import cv2
import numpy as np

from ssd_edge.core.errors import DeviceError, one_line
from ssd_edge.core.files import file_digest
from ssd_edge.core.log import quiet_logger
from ssd_edge.core.progress import Progress
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.labeller import Labeller, OpenVideo
from ssd_edge.labelling.opener import ModelFacts, Opener
from ssd_edge.labelling.plan import PlanReader
from ssd_edge.labelling.run import label_units

_GROUP = 4  # cores of an actor, by default
_BLOCKS_AN_ACTOR = 16  # so that all have work to the end
_MOST_BLOCKS = 1000


@dataclass(frozen=True)
class Resources:
    """Resources that an actor takes.

    Attributes:
        cores: processor cores; None for four, or for what the smallest node has for each actor.
        gpus: 1 for a model that runs on a GPU, else 0.
    """

    cores: int | None
    gpus: int


@dataclass(frozen=True)
class _Needs:
    cores: int
    gpus: int


class LabelActor:
    """One open detector on a node; Ray Data calls it with units.

    Raises:
        DeviceError: the node has another model, or another version of what runs it or decodes images, than the job.
    """

    def __init__(self, folder: str, opener: Opener, open_video: OpenVideo, cores: int) -> None:
        self._folder = JobFolder.read(Path(folder))
        job, self._device = self._folder.job, opener.device()
        here = (opener.runtime(), f"OpenCV {cv2.__version__}", file_digest(Path(opener.path)))
        wanted = (job.runtime, f"OpenCV {job.opencv}", job.model_digest)
        if here != wanted:
            raise DeviceError(
                "a node of the cluster has another runtime or another model file than the job",
                got=", ".join(here),
                wanted=", ".join(wanted),
                do="Install the same versions on every node, and share the model file.",
            )
        self._plan = PlanReader(self._folder.plan_path)
        self._labeller = Labeller(
            opener.open(cores), batch=job.batch, threads=cores, every=job.every, open_video=open_video
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Label the units of a batch; return each with the images that were labelled now."""
        numbers = [int(number) for number in batch["unit"]]
        missing = [number for number in numbers if not self._folder.part_path(number).exists()]
        made = dict(label_units(self._folder, self._plan, self._labeller, missing, self._device))
        return {"unit": np.array(numbers), "images": np.array([made.get(number, 0) for number in numbers])}


def model_facts_on_ray(opener: Opener, resources: Resources) -> ModelFacts:
    """Return what a job has to know of its model, from a node that can run it: this machine need not be one.

    Raises:
        DeviceError: there is no cluster, or it has not the resources of one actor, or the model cannot be opened there.
    """
    import ray

    with joined():
        needs = _needs(resources)
        _actors(needs)
        task = ray.remote(_model_facts).options(num_cpus=needs.cores, num_gpus=needs.gpus)
        try:
            facts: ModelFacts = ray.get(task.remote(opener, needs.cores))
        except ray.exceptions.RayError as error:
            raise DeviceError("the model cannot be opened on the cluster", got=_said(error)) from error
    return facts


def _model_facts(opener: Opener, cores: int) -> ModelFacts:
    with opener.open(cores) as detector:
        return ModelFacts.of(detector, opener)


def label_on_ray(
    folder: JobFolder,
    units: list[int],
    resources: Resources,
    opener: Opener,
    open_video: OpenVideo,
    progress: Progress,
) -> int:
    """Label units on the cluster that Ray is connected to, or finds; return how many images were labelled.

    Every node must see the model, the images and the folder at the same paths.

    Args:
        folder: of the job.
        units: to be labelled.
        resources: of an actor. Actors are placed by them alone: a node without a GPU, as the head may be, gets no
            actor that needs one.
        opener: opens the model on a node.
        open_video: reads a video.
        progress: called after units.

    Raises:
        DeviceError: there is no cluster, or it has not the resources of one actor, or its work fails.
    """
    with joined():
        needs = _needs(resources)
        return _label(folder, units, needs, _actors(needs), opener, open_video, progress)


@contextmanager
def joined() -> Iterator[None]:
    """Be a part of a cluster: the one that the program has joined, or for the block one that is there.

    None is started: a cluster listens on the network, and says so much of itself as who starts it allows.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        with _same_signals():
            ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise DeviceError(
            "there is no Ray cluster to join",
            got=one_line(error),
            wanted="a cluster on this machine, or its address in RAY_ADDRESS",
            do="Start a cluster with ray start --head. On a single machine Ray has no advantage: use --engine local.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _same_signals() -> Iterator[None]:
    """Put the program's signal handlers back: Ray ends a process by SIGTERM in its own way, with exit code 15."""
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # one of a C library, which Python could not restore
                signal.signal(number, handler)


def _label(
    folder: JobFolder,
    units: list[int],
    needs: _Needs,
    actors: int,
    opener: Opener,
    open_video: OpenVideo,
    progress: Progress,
) -> int:
    import ray
    import ray.data

    blocks = min(len(units), max(actors * _BLOCKS_AN_ACTOR, 1), _MOST_BLOCKS)
    ray.data.DataContext.get_current().enable_progress_bars = False
    labelled = ray.data.from_items([{"unit": number} for number in units], override_num_blocks=blocks).map_batches(
        LabelActor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=actors, max_size=actors),
        num_cpus=needs.cores,
        num_gpus=needs.gpus,
        fn_constructor_args=(str(folder.path.absolute()), opener, open_video, needs.cores),
    )
    images = 0
    try:
        with quiet_logger("ray.data", logging.ERROR):
            for done, row in enumerate(labelled.iter_rows(), start=1):
                images += int(row["images"])
                progress(done, len(units))
    except ray.exceptions.RayError as error:
        raise DeviceError("labelling on the Ray cluster failed", got=_said(error)) from error
    return images


def _said(error: BaseException) -> str:
    """Return what a worker's error says: Ray gives its traceback as text, in one of the errors that cause another."""
    lines: list[str] = []
    link: BaseException | None = error
    while link is not None:
        lines += str(link).strip().splitlines()
        link = link.__cause__
    ours = [line for line in lines if line.startswith("ssd_edge.core.errors.")]
    return (ours or lines or [type(error).__name__])[-1]


def _nodes() -> list[dict[str, float]]:
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()
    return [node["Resources"] for node in nodes if node["Alive"]]


def _needs(resources: Resources) -> _Needs:
    """Return what an actor takes of the nodes that are there."""
    cores, gpus = resources.cores, resources.gpus
    if cores is None:
        shares = [int(node.get("CPU", 0) // (_room(node, _Needs(0, gpus)) if gpus else 1)) for node in _able(gpus)]
        cores = max(1, min([_GROUP, *(share for share in shares if share)]))
    return _Needs(cores, gpus)


def _able(gpus: int) -> list[dict[str, float]]:
    return [node for node in _nodes() if node.get("GPU", 0) >= gpus]


def _room(node: dict[str, float], needs: _Needs) -> int:
    """Return how many actors a node has room for."""
    rooms = [int(node.get("CPU", 0) // needs.cores)] if needs.cores else []
    if needs.gpus:
        rooms.append(int(node.get("GPU", 0) // needs.gpus))
    return min(rooms)


def _actors(needs: _Needs) -> int:
    """Return how many actors the cluster has room for."""
    found = sum(_room(node, needs) for node in _nodes())
    if found == 0:
        raise DeviceError(
            "no node of the Ray cluster is large enough to label",
            got=f"{len(_nodes())} nodes, of which {len(_able(1))} have GPUs",
            wanted=f"a node with {needs.cores} cores" + (" and a GPU" if needs.gpus else ""),
            do="Use fewer --threads, or add a node.",
        )
    return found
