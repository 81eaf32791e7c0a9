"""The demo's steps in order: what each depends on and leaves, and the functions of its command that it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.demo.plan import DemoFiles, DemoPlan
from ssd_edge.demo.report import judge
from ssd_edge.demo.step_cache import Done, Facts, Step
from ssd_edge.demo.training import train_model

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.core.progress import Progress, ProgressCallback

_PARITY_IMAGES = 16
_PREVIEW_STEP, _PREVIEW_FPS = 2, 15.0
_STAGE_FIELDS = ("stage", "p50_ms", "p95_ms", "p99_ms")


def demo_steps(plan: DemoPlan, files: DemoFiles) -> tuple[Step, ...]:
    """Return the steps, from nothing to the page of figures."""
    from ssd_edge.data.video_truth import truth_path

    return (
        Step(
            "synth",
            _with_bar("drawing pictures", partial(draw_pictures, plan, files)),
            settings=plan.settings("train", "val", "test", "size", "seeds"),
            inputs=[],
            outputs=[files.data, files.held_out],
            rooms=["data"],
        ),
        Step(
            "film",
            _with_bar("drawing a film", partial(draw_film, plan, files)),
            settings=plan.settings("film_size", "film_frames", "seeds"),
            inputs=[],
            outputs=[files.film, truth_path(files.film)],
            rooms=["data"],
        ),
        Step(
            "train",
            partial(train_model, plan, files),
            settings=plan.settings("input_size", "minutes", "batch_size", "workers"),
            inputs=[files.data],
            outputs=[files.run],
            rooms=["data", "model", "training", "evaluation"],
        ),
        Step(
            "export",
            _with_bar("comparing", partial(export_checkpoint, files)),
            settings={},
            inputs=[files.checkpoint, files.held_out],
            outputs=[files.onnx],
            rooms=["model", "export", "backends"],
        ),
        Step(
            "build",
            partial(build, files),
            settings={},
            inputs=[files.onnx],
            outputs=[files.engine],
            rooms=["engines", "backends"],
        ),
        Step(
            "run",
            _with_bar("running", partial(run_on_film, plan, files)),
            settings=plan.settings("score_threshold"),
            inputs=[files.engine, files.film],
            outputs=[files.annotated, files.lines],
            rooms=["backends", "stream"],
        ),
        Step(
            "preview",
            _with_bar("making the preview", partial(make_preview, files)),
            settings={},
            inputs=[files.annotated],
            outputs=[files.preview],
            rooms=["stream"],
        ),
        Step(
            "eval",
            partial(judge, plan, files),
            settings=plan.settings("stills"),
            inputs=[files.checkpoint, files.onnx, files.engine, files.held_out, truth_path(files.film), files.lines],
            outputs=[files.figures, files.stills, files.report],
            rooms=["evaluation", "data", "backends", "cli"],
        ),
    )


def draw_pictures(plan: DemoPlan, files: DemoFiles, progress: Progress) -> Facts:
    """``data synth``: the pictures to learn from, and the held-out ones of another seed."""
    from ssd_edge.workflows.synthesize import synthesize

    told, size, seeds = _told(progress), plan.size, plan.seeds
    synthesize(files.data, train=plan.train, val=plan.val, test=0, size=size, seed=seeds[0], progress=told)
    synthesize(files.held_out, train=0, val=0, test=plan.test, size=size, seed=seeds[1], progress=told)
    return {"detail": f"{plan.train} pictures to learn from, {plan.val} to choose by, {plan.test} held out"}


def draw_film(plan: DemoPlan, files: DemoFiles, progress: Progress) -> Facts:
    """``data synth --video``: a film past signs, and the truth about every frame."""
    from ssd_edge.workflows.synthesize import synthesize

    frames, size = plan.film_frames, plan.film_size
    synthesize(None, video=files.film, frames=frames, video_size=size, seed=plan.seeds[2], progress=_told(progress))
    width, height = size
    return {"detail": f"{frames} frames of {width} × {height} with their truth"}


def _told(progress: Progress) -> ProgressCallback:
    return lambda event: progress(event.done, event.total, event.note)


def export_checkpoint(files: DemoFiles, progress: Progress) -> Facts:
    """``export``: one ONNX, compared with PyTorch on held-out pictures."""
    from ssd_edge.core.images import read_image
    from ssd_edge.data.find import open_dataset
    from ssd_edge.exporting.export_onnx import export_onnx

    samples = open_dataset(files.held_out, "test").samples[:_PARITY_IMAGES]
    images = [read_image(sample.image) for sample in samples]
    parity = export_onnx(files.checkpoint, files.onnx, images, progress=progress).parity
    return {
        "detail": f"{parity.detections} detections as in PyTorch: boxes within {parity.box_difference:.0e} of the "
        f"image, scores within {parity.score_difference:.0e}"
    }


def build(files: DemoFiles, _before: Sequence[Done]) -> Facts:
    """``build``: the engine for this machine."""
    from ssd_edge.engines.build import build_engine

    made = build_engine(files.onnx, files.engine, force=True).manifest
    return {"detail": f"{made.precision} for {made.runtime} {made.runtime_version} on {made.device}"}


def run_on_film(plan: DemoPlan, files: DemoFiles, progress: Progress) -> Facts:
    """``run``: the engine over the film; the annotated film and the JSON lines."""
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.streaming.outputs import open_pictures
    from ssd_edge.streaming.pipeline import Pipeline
    from ssd_edge.streaming.sinks.base import AnnotatedSink
    from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
    from ssd_edge.streaming.sources.factory import open_source

    with (
        open_source(str(files.film)) as source,
        open_detector(files.engine, score_threshold=plan.score_threshold) as detector,
        open_pictures(files.annotated, source.info) as film,
        JsonLinesSink(files.lines, source.info.fps) as lines,
        AnnotatedSink([film]) as drawn,
    ):
        summary = Pipeline(source, detector, [lines, drawn], progress=progress).run()
    return {
        "detail": f"{summary.frames} frames at {summary.fps:.0f} FPS, drawn and encoded",
        "frames": summary.frames,
        "fps": summary.fps,
        "stages": [{name: getattr(stage, name) for name in _STAGE_FIELDS} for stage in summary.stages],
    }


def make_preview(files: DemoFiles, progress: Progress) -> Facts:
    """Make a small copy of the annotated film that browsers play; OpenCV's VP8 takes too long at full size."""
    from ssd_edge.streaming.sinks.video import VideoSink
    from ssd_edge.streaming.sources.factory import open_source

    with open_source(str(files.annotated)) as film:
        rate = (film.info.fps or _PREVIEW_FPS * _PREVIEW_STEP) / _PREVIEW_STEP
        with VideoSink(files.preview, rate) as preview:
            for frame in film:
                if frame.index % _PREVIEW_STEP == 0:
                    small = replace(frame, image=_halved(frame.image))
                    preview.show(small, small.image)
                progress(frame.index + 1, film.info.frames)
    return {"detail": f"half the size, {rate:g} FPS, for browsers"}


def _halved(image: UInt8Array) -> UInt8Array:
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def _with_bar(title: str, work: Callable[[Progress], Facts]) -> Callable[[Sequence[Done]], Facts]:
    """Return the work with a progress bar around it."""

    def show(_before: Sequence[Done]) -> Facts:
        with bar(title) as progress:
            return work(progress)

    return show
