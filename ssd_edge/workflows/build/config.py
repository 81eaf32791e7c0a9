"""What ``build`` was asked for, once it is known to go together."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.backends.tensorrt.module import TENSORRT, is_installed
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted

if TYPE_CHECKING:
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.graph.source import SourceModel

AUTO = "auto"


@dataclass(frozen=True)
class BuildPlan:
    """What ``build`` was asked for; see its options."""

    source: SourceModel
    int8: bool
    fp16: bool
    target: str
    output: Path | None
    table: Path | None
    images: Path | None
    judged: tuple[Path, str] | None
    max_drop: float | None
    keep_float: frozenset[str]
    improve: bool
    sensitivity: bool
    device: str
    options: TrtOptions
    timing_cache: Path
    keep_graph: bool
    compare: bool
    force: bool

    @property
    def precision(self) -> str:
        """As the manifest calls it."""
        return {(False, False): "fp32", (False, True): "fp16", (True, False): "int8", (True, True): "int8-fp16"}[
            self.int8, self.fp16
        ]

    @property
    def engine(self) -> Path:
        """Where the engine shall lie."""
        from ssd_edge.engines.build import engine_path

        return self.output or engine_path(self.source, self.precision, self.target)

    @property
    def graph(self) -> Path:
        """Where ``--keep-graph`` puts the lowered ONNX."""
        from ssd_edge.engines.build import graph_path

        return graph_path(self.engine, self.target)


def checked(plan: BuildPlan) -> BuildPlan:
    """Return the plan with the target that ``auto`` means here.

    Raises:
        InputError: what is asked for does not go together, or the target cannot do it.
    """
    from ssd_edge.engines.build import refuse_name

    if plan.max_drop is not None and (plan.judged is None or not plan.int8):
        raise InputError("--max-drop needs --int8 and --data", wanted="labelled images to judge the INT8 model on")
    if plan.improve and (not plan.int8 or plan.options.takes_cache):
        raise InputError("--improve is for --int8 with Q/DQ", do="Add --int8, and leave out --dla and --implicit.")
    if plan.sensitivity and not plan.int8:
        raise InputError("--sensitivity is for --int8", do="Add --int8, or leave it out.")
    _refuse_half_a_wish(plan)
    _refuse_unknown_layers(plan)
    plan = _with_target(plan)
    if plan.options.dla is not None:
        _refuse_on_dla(plan)
    if plan.options.implicit:
        _refuse_implicit(plan)
    if plan.int8 and plan.options.takes_cache:
        _refuse_with_cache(plan)
    if plan.target == ORT:
        _refuse_on_ort(plan)
    refuse_name(plan.engine)
    if plan.keep_graph and plan.graph.resolve() == plan.source.path.resolve():
        raise InputError(
            f"--keep-graph would overwrite {plan.source.path}", do="Choose another name for the engine: --output"
        )
    return plan


def _refuse_half_a_wish(plan: BuildPlan) -> None:
    """Refuse options that a build of this precision would not heed."""
    if not plan.int8 and (plan.table or plan.images):
        raise InputError("--ranges and --images are for --int8", do="Add --int8, or leave them out.")
    if plan.precision == "fp32" and plan.keep_float:
        raise InputError("--keep-float is for --int8 and --fp16", got="a build in which every layer is float32")


def _refuse_unknown_layers(plan: BuildPlan) -> None:
    names = {node.name for node in plan.source.model.graph.node}
    unknown = sorted(plan.keep_float - names)
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, n=3, cutoff=0.3)
        raise InputError(
            f"{plan.source.path} has no layer {unknown[0]!r} (--keep-float)",
            wanted=", ".join(near) or f"one of its {len(names)} layers",
            do=f"All are listed by: ssd-edge inspect {quoted(plan.source.path)}",
        )


def _with_target(plan: BuildPlan) -> BuildPlan:
    from ssd_edge.backends.cuda_driver import describe_gpu

    if plan.target != AUTO:
        return plan
    target = TENSORRT if is_installed(TENSORRT) and isinstance(describe_gpu(), dict) else ORT
    if target == TENSORRT:
        log.info("target tensorrt: it is installed, and there is a GPU")
    return replace(plan, target=target)


def _refuse_on_ort(plan: BuildPlan) -> None:
    if plan.int8 and plan.fp16:
        raise InputError(
            "ONNX Runtime on a processor has no mixed INT8 and FP16", wanted="--int8 alone", do="Leave out --fp16."
        )
    if plan.device or plan.options != type(plan.options)():
        raise InputError(
            "--batch, --workspace, --opt-level, --dla, --implicit, --device, --compute-capability and the compatible "
            "ones are TensorRT's",
            got="--target onnxruntime",
            do="Leave them out, or add --target tensorrt or tensorrt-rtx.",
        )


def _refuse_on_dla(plan: BuildPlan) -> None:
    """Refuse what a DLA cannot run."""
    if plan.target != TENSORRT:
        raise InputError(f"--dla is of TensorRT, not of {plan.target}", do="Add --target tensorrt, or leave out --dla.")
    if plan.precision == "fp32":
        raise InputError("a DLA has no float32", do="Add --int8 or --fp16.")
    least, _, most = plan.options.batch.sizes
    if least != most:
        raise InputError(
            "a DLA takes one number of pictures at a time",
            got=":".join(map(str, plan.options.batch.sizes)),
            do=f"Build for one: --batch {most}",
        )


def _refuse_implicit(plan: BuildPlan) -> None:
    if plan.target != TENSORRT:
        raise InputError(
            f"--implicit is of TensorRT, not of {plan.target}", do="Add --target tensorrt, or leave it out."
        )
    if not plan.int8:
        raise InputError("--implicit is for --int8", do="Add --int8, or leave it out.")


def _refuse_with_cache(plan: BuildPlan) -> None:
    """Refuse what nobody could know before TensorRT has built: with a cache, it lowers the graph itself."""
    if plan.judged or plan.keep_float or plan.keep_graph or plan.sensitivity:
        raise InputError(
            "--data, --max-drop, --keep-float, --keep-graph and --sensitivity need Q/DQ",
            got="INT8 by a calibration cache, as with --dla and --implicit",
            do="Leave them out, or leave out --dla or --implicit.",
        )
