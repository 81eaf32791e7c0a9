"""The package for NVIDIA Triton Inference Server: a model repository for ONNX Runtime, and one for TensorRT."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.choices import Host, Target, VariantForm
from ssd_edge.core.errors import InputError
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.spec import ModelSpec
from ssd_edge.packaging.contents import (
    LABELS_NAME,
    PackagedModel,
    copy_exported,
    write_common,
    write_template,
    write_variant,
)

ONNX_REPOSITORY, PLAN_REPOSITORY = "onnxruntime", "tensorrt"
_QUEUE_DELAY_US = 2000


@dataclass(frozen=True)
class Plan:
    """A TensorRT engine of the model.

    Attributes:
        path: the engine.
        manifest: that belongs to it.
    """

    path: Path
    manifest: EngineManifest

    @classmethod
    def of(cls, engine: Path, model: PackagedModel) -> Plan:
        """Return the engine, where it is TensorRT's and of this model.

        Raises:
            ArtifactError: its manifest is missing or damaged, or the engine is not the manifest's.
            InputError: it is of another model, or for another runtime.
        """
        manifest = EngineManifest.load(manifest_path(engine))
        manifest.refuse_if_changed(engine)
        if manifest.target is not Target.TENSORRT:
            raise InputError(
                f"{engine} cannot run on Triton",
                got=f"an engine for {manifest.target}",
                wanted="an engine for tensorrt",
            )
        if manifest.onnx_digest != model.source.digest:
            raise InputError(
                f"{engine} was not built from {model.source.path}",
                got=manifest.onnx_digest,
                wanted=model.source.digest,
                do="Give the model that the engine was built from, or build the engine again.",
            )
        return cls(engine, manifest)

    @property
    def place(self) -> str:
        """Return in words where it runs."""
        return f"{self.manifest.device}, TensorRT {self.manifest.runtime_version}"


def write_triton(folder: Path, model: PackagedModel, *, max_batch: int, plan: Plan | None) -> None:
    """Write the package.

    Args:
        folder: empty.
        model: to package.
        max_batch: images that the server may put together.
        plan: an engine to add; without one a script is added that builds it.

    Raises:
        ParityError: the graph that TensorRT builds of does not find what the model finds.
        OSError: a file cannot be written.
    """
    name, spec = model.name, model.spec
    onnx_folder, plan_folder = folder / ONNX_REPOSITORY / name, folder / PLAN_REPOSITORY / name
    copy_exported(model, onnx_folder / "1" / "model.onnx")
    models = {"onnxruntime": (VariantForm.PORTABLE, f"{ONNX_REPOSITORY}/{name}/1/model.onnx")}
    (plan_folder / "1").mkdir(parents=True)
    if plan is None:
        write_variant(model, VariantForm.PORTABLE, folder / "build" / "model.onnx")
        models["tensorrt"] = (VariantForm.PORTABLE, "build/model.onnx")
        write_template(
            "build-plan.sh",
            folder / "build" / "build-plan.sh",
            {
                "name": _shell(name),
                "max_batch": max_batch,
                "best_batch": max(1, max_batch // 2),
                "side": f"{spec.input.height}x{spec.input.width}x3",
            },
            executable=True,
        )
    else:
        shutil.copyfile(plan.path, plan_folder / "1" / "model.plan")
    for place, platform, most in (
        (onnx_folder, 'backend: "onnxruntime"', max_batch),
        (plan_folder, 'platform: "tensorrt_plan"', _largest(plan, max_batch)),
    ):
        (place / "config.pbtxt").write_text(config_text(spec, platform, most), encoding="utf-8")
        (place / LABELS_NAME).write_text("".join(f"{label}\n" for label in spec.class_names), encoding="utf-8")
    write_common(folder, Host.TRITON, model, models)
    built = "It is not built yet" if plan is None else f"It was built for {plan.place}"
    write_template(
        "triton.md",
        folder / "README.md",
        {
            "name": name,
            "rows": spec.nms.keep_top_k,
            "width": spec.input.width,
            "height": spec.input.height,
            "max_batch": max_batch,
            "built": built,
        },
    )


def _largest(plan: Plan | None, max_batch: int) -> int:
    return max_batch if plan is None else min(max_batch, plan.manifest.batch[2] or max_batch)


def config_text(spec: ModelSpec, platform: str, max_batch: int) -> str:
    """Return a ``config.pbtxt``: the graph contract, batches put together by the server, and a warm-up.

    Outputs have no ``label_filename``: Triton would name rows by it, whose number is no class.

    Args:
        spec: of the model.
        platform: the line that names the backend.
        max_batch: images that the server may put together.
    """
    rows, pixels = spec.nms.keep_top_k, [spec.input.height, spec.input.width, 3]
    shapes = ([1], [rows, 4], [rows], [rows])
    kinds = ("TYPE_INT32", "TYPE_FP32", "TYPE_FP32", "TYPE_FP32")
    outputs = [
        f"  {{ name: {_text(name)} data_type: {kind} dims: {shape} }}"
        for name, kind, shape in zip(OUTPUT_NAMES, kinds, shapes, strict=True)
    ]
    labels = "\n".join(spec.class_names)
    parts = [
        f"name: {_text(spec.name)}",
        platform,
        f"max_batch_size: {max_batch}",
        f"input [\n  {{ name: {_text(INPUT_NAME)} data_type: TYPE_UINT8 dims: {pixels} }}\n]",
        "output [\n" + ",\n".join(outputs) + "\n]",
        "instance_group [\n  { kind: KIND_AUTO count: 1 }\n]",
        f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_DELAY_US} }}",
        *(_warm_up(f"batch_{batch}", batch, pixels) for batch in sorted({1, max_batch})),
        f'parameters {{ key: "labels" value {{ string_value: {_text(labels)} }} }}',
    ]
    return "\n".join(parts) + "\n"


def _warm_up(name: str, batch: int, pixels: list[int]) -> str:
    value = f"data_type: TYPE_UINT8 dims: {pixels} zero_data: true"
    entry = f"inputs {{ key: {_text(INPUT_NAME)} value {{ {value} }} }}"
    return f"model_warmup [\n  {{ name: {_text(name)} batch_size: {batch} {entry} }}\n]"


def _text(value: str) -> str:
    """Return a string as protobuf's text format and JSON both write it, in ASCII and octal bytes."""
    data = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in value.encode())
    return f'"{data}"'


def _shell(value: str) -> str:
    """Return a text for the inside of single quotes of a shell."""
    return value.replace("'", "'\\''")
