"""Finds the faster runtime of the processor for a model: measured once, and noted beside the model.

``engines/<model>/runtimes.json`` holds a choice for each precision, by what it depends on: the model, the processor and
its cores, and the releases of the runtimes. Whatever of that is another is measured anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ssd_edge.backends.cpu import cpu_device, physical_cores
from ssd_edge.backends.openvino.module import is_installed
from ssd_edge.benchmarking.load import LoadMonitor
from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import path_kind, written_beside
from ssd_edge.core.log import log
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.engines.benchmark import median_times
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.processor import processor_builder
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.workflows.build.config import BuildConfig, resolved

RUNTIMES_FORMAT = "ssd-edge/runtimes/1"
RUNTIMES_NAME = "runtimes.json"
VARIABLE = "SSD_EDGE_CPU_RUNTIME"
"""Environment variable that names the processor's runtime for ``--target auto``: nothing is measured then."""
_FORM = Format(RUNTIMES_FORMAT, "record of runtimes", "Delete it: the next build measures again.")
_PROCESSOR = (Target.ONNXRUNTIME, Target.OPENVINO)
_WORTH = 0.95  # of ONNX Runtime's time: what starts sooner and takes less memory is left for a clear gain only


@dataclass(frozen=True)
class RuntimeChoice:
    """Runtimes that were timed side by side, and the one that was chosen.

    Attributes:
        target: the chosen one.
        times_ms: milliseconds an image of each.
        precision: of the engines.
        onnx_digest: ``sha256:…`` of the exported model.
        processor: and the number of its cores.
        versions: of the runtimes.
        measured_at: ISO 8601, UTC.
        others: cores that other processes used meanwhile, in the mean.
        is_disturbed: they were so busy that on an idle machine another may be the faster one.
    """

    target: Target
    times_ms: Mapping[Target, float]
    precision: Precision
    onnx_digest: str
    processor: str
    versions: Mapping[Target, str]
    measured_at: str = ""
    others: float = 0.0
    is_disturbed: bool = False

    def is_of(self, other: RuntimeChoice) -> bool:
        """Whether both depend on the same."""
        names = ("precision", "onnx_digest", "processor", "versions")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __str__(self) -> str:
        """Return the times in words, the quickest first."""
        ordered = sorted(self.times_ms.items(), key=lambda pair: pair[1])
        return ", ".join(f"{target} {ms:.2f} ms" for target, ms in ordered)


@dataclass(frozen=True)
class RuntimeRecord:
    """The choices for a model."""

    choices: tuple[RuntimeChoice, ...] = ()
    format: str = RUNTIMES_FORMAT

    @classmethod
    def load(cls, path: Path) -> RuntimeRecord:
        """Read a record; an empty one where there is no file.

        Raises:
            ArtifactError: it is damaged or foreign.
        """
        return cls() if path_kind(path) == "absent" else read_artifact(path, cls, _FORM)

    def save(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        with written_beside(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def having(self, made: RuntimeChoice) -> RuntimeRecord:
        """Return the record with another choice, without those that it replaces and those of an older model."""
        kept = [old for old in self.choices if old.onnx_digest == made.onnx_digest and not old.is_of(made)]
        return RuntimeRecord((*kept, made))


def for_fastest_runtime(
    asked: BuildConfig, config: BuildConfig, source: SourceModel, table: CalibrationTable | None, workspace: Path
) -> BuildConfig:
    """Return the config for the processor's faster runtime, where none was asked for and there is a choice.

    Args:
        asked: the config as the user gave it.
        config: resolved; for ONNX Runtime where none was asked for and TensorRT is not usable here.
        source: the exported model.
        table: for INT8.
        workspace: for what is resolved anew.

    Raises:
        SsdEdgeError: the record is damaged, or the variable names no runtime of a processor.
    """
    if asked.target is not None or config.runtime.is_tensorrt:
        return config
    target = _named()
    if target is None and is_installed():
        target = _chosen(source, config, table)
    if target in (None, config.target):
        return config
    return resolved(replace(asked, target=target), source, workspace)


def _named() -> Target | None:
    """Return the runtime that the environment names."""
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    if name not in [target.value for target in _PROCESSOR]:
        raise InputError(f"{VARIABLE} does not name a runtime for the CPU", got=name, wanted=" or ".join(_PROCESSOR))
    return Target(name)


def _chosen(source: SourceModel, config: BuildConfig, table: CalibrationTable | None) -> Target | None:
    """Return the runtime that was chosen before, or is now; None where one of them cannot run the model."""
    path = source.path.with_name(RUNTIMES_NAME)
    record = RuntimeRecord.load(path)
    wanted = _question(source, config.precision)
    known = next((choice for choice in record.choices if choice.is_of(wanted) and choice.target in _PROCESSOR), None)
    if known is not None and not config.force:
        _tell(known, path, ", as measured before")
        return known.target
    try:
        made = _measured(source, wanted, table)
    except SsdEdgeError as error:
        log.warning(
            f"target {config.target}: ONNX Runtime and OpenVINO are not compared, as one of them fails: {error}"
        )
        return None
    _tell(made, path)
    try:
        record.having(made).save(path)
    except InputError as error:
        log.info(f"the choice of runtime cannot be stored: {error}")
    return made.target


def _question(source: SourceModel, precision: Precision) -> RuntimeChoice:
    """Return a choice without an answer: what it depends on."""
    versions = {target: processor_builder(target, precision).runtime_version for target in _PROCESSOR}
    processor = f"{cpu_device()}, {physical_cores()} cores"
    return RuntimeChoice(Target.ONNXRUNTIME, {}, precision, source.digest, processor, versions)


def _measured(source: SourceModel, wanted: RuntimeChoice, table: CalibrationTable | None) -> RuntimeChoice:
    """Build the model for each runtime, as it is without any tuning, and time both side by side."""
    precision = wanted.precision
    log.info(f"two runtimes for the CPU are installed: timing {precision} once on both")
    with scratch_folder() as folder:
        engines = []
        for target in _PROCESSOR:
            lowered = Lowered(Lowering(precision, target)(source.model, table), precision)
            builder, engine = processor_builder(target, precision), folder / f"{target}.engine"
            engines.append(build_lowered(source, lowered, builder, engine).engine)
        monitor = LoadMonitor()
        times = dict(zip(_PROCESSOR, median_times(engines), strict=True))
        load = monitor.report()
    is_worth = times[Target.OPENVINO] < _WORTH * times[Target.ONNXRUNTIME]
    return replace(
        wanted,
        target=Target.OPENVINO if is_worth else Target.ONNXRUNTIME,
        times_ms={target: round(ms, 4) for target, ms in times.items()},
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        others=round(load.others + load.stolen, 2),
        is_disturbed=load.is_disturbed,
    )


def _tell(choice: RuntimeChoice, path: Path, when: str = "") -> None:
    """Say what was chosen, and each time that it was measured beside others: it stays so until it is forced."""
    log.info(f"target {choice.target}{when}: {choice} per image ({path}); to choose another: --target")
    if choice.is_disturbed:
        log.warning(
            f"other processes used {choice.others:.1f} cores during the timing: on an idle machine the choice may "
            "differ; to measure again: build --force"
        )
