"""ssd-edge: a Single Shot MultiBox Detector from labelled images to boxes on a live camera.

Everything that a command does is one function here that returns a result and prints nothing::

    import ssd_edge as ssd

    run = ssd.train("path/to/data", preset="ssd300-mobilenet-v1", minutes=20)
    model = ssd.export(run.path)
    engine = ssd.build(model.path, precision="int8")
    with ssd.load(engine.path, score_threshold=0.5) as detect:
        for d in detect("photo.jpg"):
            print(d.label, d.score, d.box)

Importing the package loads nothing heavy; a name is loaded when it is first used. What is logged goes to the logger
``ssd_edge`` and is shown only if the program configures logging. ``docs/python.md`` shows them at work and lists all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ssd_edge.backends.detector import Detector
    from ssd_edge.backends.tensorrt.layers import EngineLayer
    from ssd_edge.benchmarking.load import NeighborLoad
    from ssd_edge.benchmarking.machine import Machine
    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.choices import (
        Activation,
        BoxLayout,
        Color,
        FloatType,
        GateFigure,
        Goal,
        Host,
        LabelEngine,
        LabelFormat,
        Method,
        Metric,
        OnFailure,
        Peer,
        Precision,
        Target,
    )
    from ssd_edge.core.detections import Detection, Detections
    from ssd_edge.core.errors import (
        AccuracyError,
        ArtifactError,
        DeviceError,
        InferenceHangError,
        InputError,
        MissingPackageError,
        ParityError,
        SsdEdgeError,
        TrainingError,
    )
    from ssd_edge.core.frame import Frame
    from ssd_edge.core.intervals import Interval
    from ssd_edge.core.left_out import LeftOut
    from ssd_edge.core.manifest import Accuracy, EngineManifest
    from ssd_edge.core.progress import ProgressCallback, ProgressEvent
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.core.shutdown import ReloadRequest, StopRequest
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.data.anchor_recall import AnchorRecall
    from ssd_edge.data.lint.check import LintReport
    from ssd_edge.data.lint.issue import Issue
    from ssd_edge.data.priors import FittedPriors
    from ssd_edge.data.statistics import SetStatistics
    from ssd_edge.doctor.check import CheckResult, State
    from ssd_edge.doctor.nms_bodies import NmsTimes
    from ssd_edge.doctor.verdict import Verdict
    from ssd_edge.engines.options import Batch, TrtOptions
    from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
    from ssd_edge.importing.graphs.import_onnx import GraphImport
    from ssd_edge.labelling.summary import Drift, LabelCounts, LabelSummary
    from ssd_edge.model.presets import Published
    from ssd_edge.quantization.image_set import ImageSet
    from ssd_edge.quantization.sensitivity import RankedLayers
    from ssd_edge.streaming.sources.camera_rate import CameraRate
    from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus
    from ssd_edge.streaming.timing import StageTimes
    from ssd_edge.streaming.tracking.tracker import Tracker
    from ssd_edge.training.callbacks import Callback
    from ssd_edge.training.metrics import EpochRecord
    from ssd_edge.workflows.benchmark.benchmark import bench
    from ssd_edge.workflows.benchmark.config import BenchConfig
    from ssd_edge.workflows.benchmark.result import BenchResult, Contestant, GpuMode, Peak, Throughput
    from ssd_edge.workflows.build.build import build
    from ssd_edge.workflows.build.config import BuildConfig, BuildResult, FailedGate
    from ssd_edge.workflows.build.options import AccuracyGate
    from ssd_edge.workflows.calibrate import CalibrateResult, calibrate
    from ssd_edge.workflows.calibrate_config import CalibrateConfig
    from ssd_edge.workflows.check_data import CheckDataConfig, CheckDataResult, IssueCount, check_data
    from ssd_edge.workflows.convert_data import ConvertDataResult, convert_data
    from ssd_edge.workflows.convert_data_config import ConvertDataConfig
    from ssd_edge.workflows.data_statistics import DataStatisticsConfig, DataStatisticsResult, data_statistics
    from ssd_edge.workflows.diagnose import DiagnoseResult, diagnose
    from ssd_edge.workflows.evaluate import EvaluateResult, evaluate
    from ssd_edge.workflows.evaluate_config import EvaluateConfig
    from ssd_edge.workflows.export import ExportConfig, ExportResult, export
    from ssd_edge.workflows.fit_priors import FitPriorsResult, Gain, fit_priors
    from ssd_edge.workflows.fit_priors_config import FitPriorsConfig
    from ssd_edge.workflows.import_config import ImportConfig
    from ssd_edge.workflows.import_model import ImportResult, import_model
    from ssd_edge.workflows.inspect import CheckpointFacts, EngineFacts, InspectResult, LayersFacts, OnnxFacts, inspect
    from ssd_edge.workflows.label_config import LabelConfig
    from ssd_edge.workflows.label_images import LabelResult, label
    from ssd_edge.workflows.load import load
    from ssd_edge.workflows.package import PackageResult, package
    from ssd_edge.workflows.package_config import PackageConfig
    from ssd_edge.workflows.package_verification import VerifyPackageResult, verify_package
    from ssd_edge.workflows.presets import PresetInfo, PresetsResult, list_presets
    from ssd_edge.workflows.run_streams import RunResult, StreamFigures, run_streams
    from ssd_edge.workflows.selftest import SelftestResult, selftest
    from ssd_edge.workflows.selftest_config import SelftestConfig
    from ssd_edge.workflows.split_data import SplitDataResult, split_data
    from ssd_edge.workflows.split_data_config import SplitDataConfig
    from ssd_edge.workflows.stream import stream
    from ssd_edge.workflows.stream_config import RunConfig, StreamConfig
    from ssd_edge.workflows.synthesize import SynthesizeResult, synthesize
    from ssd_edge.workflows.synthesize_config import SynthesizeConfig
    from ssd_edge.workflows.train import train
    from ssd_edge.workflows.train_config import TrainConfig, TrainResult
    from ssd_edge.workflows.workspace import (
        InitResult,
        RunInfo,
        RunsResult,
        UseResult,
        find_runs,
        init_workspace,
        use_engine,
    )

_HOMES = {
    "backends.detector": "Detector",
    "backends.tensorrt.layers": "EngineLayer",
    "benchmarking.load": "NeighborLoad",
    "benchmarking.machine": "Machine",
    "core.calibration_table": "CalibrationTable",
    "core.choices": "Activation BoxLayout Color FloatType GateFigure Goal Host LabelEngine LabelFormat Method Metric "
    "OnFailure Peer Precision Target",
    "core.detections": "Detection Detections",
    "core.errors": "AccuracyError ArtifactError DeviceError InferenceHangError InputError MissingPackageError "
    "ParityError SsdEdgeError TrainingError",
    "core.frame": "Frame",
    "core.intervals": "Interval",
    "core.left_out": "LeftOut",
    "core.manifest": "Accuracy EngineManifest",
    "core.progress": "ProgressCallback ProgressEvent",
    "core.sample": "LabelledSet",
    "core.shutdown": "ReloadRequest StopRequest",
    "core.spec": "ModelSpec",
    "data.anchor_recall": "AnchorRecall",
    "data.lint.check": "LintReport",
    "data.lint.issue": "Issue",
    "data.priors": "FittedPriors",
    "data.statistics": "SetStatistics",
    "doctor.check": "CheckResult State",
    "doctor.nms_bodies": "NmsTimes",
    "doctor.verdict": "Verdict",
    "engines.options": "Batch TrtOptions",
    "evaluation.evaluate": "EvaluatedModel Evaluation",
    "importing.graphs.import_onnx": "GraphImport",
    "labelling.summary": "Drift LabelCounts LabelSummary",
    "model.presets": "Published",
    "quantization.image_set": "ImageSet",
    "quantization.sensitivity": "RankedLayers",
    "streaming.sources.camera_rate": "CameraRate",
    "streaming.states": "StreamReason StreamState StreamStatus",
    "streaming.timing": "StageTimes",
    "streaming.tracking.tracker": "Tracker",
    "training.callbacks": "Callback",
    "training.metrics": "EpochRecord",
    "workflows.benchmark.benchmark": "bench",
    "workflows.benchmark.config": "BenchConfig",
    "workflows.benchmark.result": "BenchResult Contestant GpuMode Peak Throughput",
    "workflows.build.build": "build",
    "workflows.build.config": "BuildConfig BuildResult FailedGate",
    "workflows.build.options": "AccuracyGate",
    "workflows.calibrate": "CalibrateResult calibrate",
    "workflows.calibrate_config": "CalibrateConfig",
    "workflows.check_data": "CheckDataConfig CheckDataResult IssueCount check_data",
    "workflows.convert_data": "ConvertDataResult convert_data",
    "workflows.convert_data_config": "ConvertDataConfig",
    "workflows.data_statistics": "DataStatisticsConfig DataStatisticsResult data_statistics",
    "workflows.diagnose": "DiagnoseResult diagnose",
    "workflows.evaluate": "EvaluateResult evaluate",
    "workflows.evaluate_config": "EvaluateConfig",
    "workflows.export": "ExportConfig ExportResult export",
    "workflows.fit_priors": "FitPriorsResult Gain fit_priors",
    "workflows.fit_priors_config": "FitPriorsConfig",
    "workflows.import_config": "ImportConfig",
    "workflows.import_model": "ImportResult import_model",
    "workflows.inspect": "CheckpointFacts EngineFacts InspectResult LayersFacts OnnxFacts inspect",
    "workflows.label_config": "LabelConfig",
    "workflows.label_images": "LabelResult label",
    "workflows.load": "load",
    "workflows.package": "PackageResult package",
    "workflows.package_config": "PackageConfig",
    "workflows.package_verification": "VerifyPackageResult verify_package",
    "workflows.presets": "PresetInfo PresetsResult list_presets",
    "workflows.run_streams": "RunResult StreamFigures run_streams",
    "workflows.selftest": "SelftestResult selftest",
    "workflows.selftest_config": "SelftestConfig",
    "workflows.stream": "stream",
    "workflows.stream_config": "RunConfig StreamConfig",
    "workflows.split_data": "SplitDataResult split_data",
    "workflows.split_data_config": "SplitDataConfig",
    "workflows.synthesize": "SynthesizeResult synthesize",
    "workflows.synthesize_config": "SynthesizeConfig",
    "workflows.train": "train",
    "workflows.train_config": "TrainConfig TrainResult",
    "workflows.workspace": "InitResult RunInfo RunsResult UseResult find_runs init_workspace use_engine",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Accuracy", "AccuracyError", "AccuracyGate", "Activation", "AnchorRecall", "ArtifactError", "Batch",
    "BenchConfig", "BenchResult", "BoxLayout", "BuildConfig", "BuildResult", "CalibrateConfig", "CalibrateResult",
    "CalibrationTable", "Callback", "CameraRate", "CheckDataConfig", "CheckDataResult", "CheckResult",
    "CheckpointFacts", "Color", "Contestant", "ConvertDataConfig", "ConvertDataResult", "DataStatisticsConfig",
    "DataStatisticsResult", "Detection", "Detections", "Detector", "DeviceError", "DiagnoseResult", "Drift",
    "EngineFacts", "EngineLayer", "EngineManifest", "EpochRecord", "EvaluateConfig", "EvaluateResult",
    "EvaluatedModel", "Evaluation", "ExportConfig", "ExportResult", "FailedGate", "FitPriorsConfig",
    "FitPriorsResult", "FittedPriors", "FloatType", "Frame", "Gain", "GateFigure", "Goal", "GpuMode", "GraphImport",
    "Host", "ImageSet", "ImportConfig", "ImportResult", "InferenceHangError", "InitResult", "InputError",
    "InspectResult", "Interval", "Issue", "IssueCount", "LabelConfig", "LabelCounts", "LabelEngine", "LabelFormat",
    "LabelResult", "LabelSummary", "LabelledSet", "LayersFacts", "LeftOut", "LintReport", "Machine", "Method",
    "Metric", "MissingPackageError", "ModelSpec", "NeighborLoad", "NmsTimes", "OnFailure", "OnnxFacts",
    "PackageConfig", "PackageResult", "ParityError", "Peak", "Peer", "Precision", "PresetInfo", "PresetsResult",
    "ProgressCallback", "ProgressEvent", "Published", "RankedLayers", "ReloadRequest", "RunConfig", "RunInfo",
    "RunResult", "RunsResult", "SelftestConfig", "SelftestResult", "SetStatistics", "SplitDataConfig",
    "SplitDataResult", "SsdEdgeError", "StageTimes", "State", "StopRequest", "StreamConfig", "StreamFigures",
    "StreamReason", "StreamState", "StreamStatus", "SynthesizeConfig", "SynthesizeResult", "Target", "Throughput",
    "Tracker", "TrainConfig", "TrainResult", "TrainingError", "TrtOptions", "UseResult", "Verdict",
    "VerifyPackageResult",
    "__version__", "bench", "build", "calibrate", "check_data", "convert_data", "data_statistics", "diagnose",
    "evaluate", "export", "find_runs", "fit_priors", "import_model", "init_workspace", "inspect", "label",
    "list_presets", "load", "package", "run_streams", "selftest", "split_data", "stream", "synthesize", "train",
    "use_engine", "verify_package",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"ssd_edge.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
