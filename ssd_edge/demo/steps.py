"""The demo's steps in order: each calls one workflow, as a program would."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence

from ssd_edge.core.files import make_folder, written_beside
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.requirements import require_training
from ssd_edge.demo.plan import MODEL_NAME, PRESET, DemoFiles, DemoPlan
from ssd_edge.demo.step_cache import Done, Facts, Step, run_steps
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.chain_report import StageLatency, StepTime, VideoRun, write_chain_report, write_preview
from ssd_edge.workflows.evaluate import EvaluateResult, evaluate
from ssd_edge.workflows.export import export
from ssd_edge.workflows.fit_priors import fit_priors
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.synthesize import synthesize

_TRAINING_SEED = 1
_LABELS = ("checkpoint", "ONNX", "engine")
_STAGE_FIELDS = tuple(field.name for field in dataclasses.fields(StageLatency))


def run_demo(
    plan: DemoPlan, files: DemoFiles, *, fresh: bool = False, progress: ProgressCallback = no_progress
) -> tuple[Done, ...]:
    """Do what is not done yet, step by step; a step that fails leaves those before it as they are.

    Args:
        plan: how much of everything.
        files: where it goes.
        fresh: do every step again, changed or not.
        progress: receives how far each step is.

    Raises:
        SsdEdgeError: from any step.
    """
    make_folder(files.folder)
    return run_steps(demo_steps(plan, files, progress), files.stamps, fresh=fresh)


def demo_steps(plan: DemoPlan, files: DemoFiles, progress: ProgressCallback = no_progress) -> tuple[Step, ...]:
    """Return the steps, from nothing to the page of figures."""

    def work(step: Callable[[DemoPlan, DemoFiles, ProgressCallback], Facts]) -> Callable[[Sequence[Done]], Facts]:
        return lambda _before: step(plan, files, progress)

    return (
        Step(
            "synth",
            work(draw_images),
            settings=plan.settings("train", "val", "test", "size", "seeds"),
            inputs=[],
            outputs=[files.data, files.held_out],
        ),
        Step(
            "film",
            work(draw_video),
            settings=plan.settings("video_size", "video_frames", "seeds"),
            inputs=[],
            outputs=[files.video, files.video_objects],
        ),
        Step(
            "train",
            work(train_model),
            settings=plan.settings("input_size", "epochs", "minutes", "batch_size", "workers"),
            inputs=[files.data],
            outputs=[files.priors, files.run],
            packages=["torch"],
        ),
        Step(
            "export",
            work(export_checkpoint),
            settings={},
            inputs=[files.checkpoint, files.held_out],
            outputs=[files.onnx],
            packages=["torch", "onnx"],
        ),
        Step(
            "build",
            work(build_engine),
            settings={},
            inputs=[files.onnx],
            outputs=[files.engine],
            packages=["onnxruntime"],
        ),
        Step(
            "run",
            work(run_on_video),
            settings=plan.settings("score_threshold"),
            inputs=[files.engine, files.video],
            outputs=[files.annotated, files.lines],
            packages=["onnxruntime"],
        ),
        Step(
            "preview",
            work(make_preview),
            settings={},
            inputs=[files.annotated],
            outputs=[files.preview],
        ),
        Step(
            "eval",
            lambda before: report(plan, files, before, progress),
            settings=plan.settings("stills"),
            inputs=[files.checkpoint, files.onnx, files.engine, files.held_out, files.video_objects, files.lines],
            outputs=[files.figures, files.stills, files.report],
            packages=["torch", "onnxruntime"],
        ),
    )


def draw_images(plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Draw the images to train on, and the held-out ones of another seed."""
    seed, other_seed, _ = plan.seeds
    synthesize(files.data, train=plan.train, val=plan.val, test=0, size=plan.size, seed=seed, progress=progress)
    synthesize(files.held_out, train=0, val=0, test=plan.test, size=plan.size, seed=other_seed, progress=progress)
    return {"detail": f"{plan.train} training images, {plan.val} validation images, {plan.test} test images"}


def draw_video(plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Draw a video past signs, and write the truth about every frame."""
    synthesize(
        None,
        video=files.video,
        frames=plan.video_frames,
        video_size=plan.video_size,
        seed=plan.seeds[2],
        progress=progress,
    )
    width, height = plan.video_size
    return {"detail": f"{plan.video_frames} frames of {width} × {height} with their objects"}


def train_model(plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Fit the preset's anchors, and train it from random weights, in bfloat16 where that is faster here.

    Views are never mirrored: a sign that points left is not one that points right.
    """
    require_training()
    from ssd_edge.workflows.train import train

    shutil.rmtree(files.run, ignore_errors=True)  # an older one, of other data or another plan
    fit_priors(files.data, preset=PRESET, input_size=plan.input_size, output=files.priors, progress=progress)
    run = train(
        files.data,
        preset=PRESET,
        name=MODEL_NAME,
        input_size=plan.input_size,
        priors=files.priors,
        epochs=plan.epochs,
        minutes=plan.minutes,
        batch_size=plan.batch_size,
        workers=plan.workers,
        seed=_TRAINING_SEED,
        device="cpu",
        flip=False,
        check=False,
        tensorboard=False,
        report=False,
        progress=progress,
        workspace=files.folder,
    )
    views = sum(record.images for record in run.epochs)
    return {"detail": f"mAP@0.5 {run.mean_ap:.3f} on the validation set, {views} views trained on"}


def export_checkpoint(_plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Export one ONNX, compared with PyTorch on held-out images."""
    made = export(
        files.checkpoint,
        output=files.onnx,
        check_images=files.held_out / "JPEGImages",
        progress=progress,
        workspace=files.folder,
    )
    parity = made.parity
    return {
        "detail": f"{parity.detections} detections as in PyTorch: boxes within {parity.box_difference:.0e} of the "
        f"image, scores within {parity.score_difference:.0e}"
    }


def build_engine(_plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Build the engine for ONNX Runtime on this machine."""
    made = build(
        files.onnx,
        target="onnxruntime",
        output=files.engine,
        force=True,
        progress=progress,
        workspace=files.folder,
    ).manifest
    return {"detail": f"{made.precision.value} for {made.runtime} {made.runtime_version} on {made.device}"}


def run_on_video(plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Run the engine over the video: the annotated video and the JSON lines."""
    run = run_streams(
        files.video,
        files.engine,
        output=files.annotated,
        json_path=files.lines,
        score_threshold=plan.score_threshold,
        progress=progress,
        workspace=files.folder,
    )
    return {
        "detail": f"{run.frames} frames at {run.fps:.0f} FPS, drawn and encoded",
        "frames": run.frames,
        "fps": run.fps,
        "stages": [{name: getattr(stage, name) for name in _STAGE_FIELDS} for stage in run.stages],
    }


def make_preview(_plan: DemoPlan, files: DemoFiles, progress: ProgressCallback) -> Facts:
    """Make a small copy of the annotated video that browsers play."""
    rate = write_preview(files.annotated, files.preview, progress=progress)
    return {"detail": f"half the size, {rate:g} FPS, for browsers"}


def report(plan: DemoPlan, files: DemoFiles, before: Sequence[Done], progress: ProgressCallback) -> Facts:
    """Evaluate checkpoint, ONNX, engine and video; write eval.json, stills and report.html."""
    models = (files.checkpoint, files.onnx, files.engine)
    evaluated = _labelled(evaluate(models, files.held_out, split="test", progress=progress))
    with written_beside(files.figures) as partial:
        partial.write_text(evaluated.to_json(), encoding="utf-8")
    run = _video_run(plan, files, next(done.facts for done in before if done.name == "run"))
    page = write_chain_report(
        files.report,
        evaluated,
        run,
        title="Road signs: from generated images to boxes on a video",
        subtitle=f"{PRESET} at {' × '.join(map(str, plan.input_size))}, trained for {plan.epochs} epochs, or "
        f"{plan.minutes:g} minutes, on {plan.train} generated images, evaluated on {plan.test} that were generated "
        "with another seed.",
        steps=[StepTime(done.name, done.facts["detail"], done.seconds) for done in before],
        stills=files.stills,
        still_count=plan.stills,
    )
    return _figures(evaluated, page.video_map, run.fps)


def _labelled(result: EvaluateResult) -> EvaluateResult:
    """Return the result with the models called by what they are."""
    models = [dataclasses.replace(model, label=label) for model, label in zip(result.models, _LABELS, strict=True)]
    return dataclasses.replace(result, models=tuple(models))


def _video_run(plan: DemoPlan, files: DemoFiles, facts: Facts) -> VideoRun:
    return VideoRun(
        video=files.video,
        annotated=files.annotated,
        preview=files.preview,
        lines=files.lines,
        frames=facts["frames"],
        fps=facts["fps"],
        stages=tuple(StageLatency(**stage) for stage in facts["stages"]),
        score_threshold=plan.score_threshold,
    )


def _figures(evaluated: EvaluateResult, video_map: float, fps: float) -> Facts:
    """Return the figures that the command prints, as rows of model, mAP, median milliseconds and frames a second."""
    rows = [
        (
            f"{model.label}, held-out images",
            f"{model.evaluation.accuracy.mean_ap:.4f}",
            f"{model.evaluation.median_ms:.2f}",
            f"{model.evaluation.fps:.0f}",
        )
        for model in evaluated.models
    ]
    rows.append(("engine, video, end to end", f"{video_map:.4f}", "", f"{fps:.0f}"))
    engine = evaluated.models[-1].evaluation.accuracy.mean_ap
    return {
        "detail": f"mAP@0.5 of the engine {engine:.4f} on held-out images, {video_map:.4f} on the video",
        "table": rows,
    }
