"""The package for Frigate: a model for its OpenVINO detector and one for its ONNX detector, each with its blocks."""

from __future__ import annotations

import json
from pathlib import Path

from ssd_edge.core.choices import Host, VariantForm
from ssd_edge.packaging.board import slug
from ssd_edge.packaging.contents import PackagedModel, write_common, write_template, write_variant

LABELMAP_NAME = "labelmap.txt"
_FORMS = {"ssd": VariantForm.FRIGATE_SSD, "yolonas": VariantForm.FRIGATE_YOLONAS}
"""Of each ``model_type`` of Frigate that a package is for; file and self-check have its name."""


def write_frigate(folder: Path, model: PackagedModel) -> None:
    """Write the package.

    Raises:
        ParityError: one of the two graphs does not find what the model finds.
        OSError: a file cannot be written.
    """
    spec = model.spec
    for name, form in _FORMS.items():
        write_variant(model, form, folder / f"{name}.onnx")
    # With its number before it, a label that begins with a number is not taken for one.
    lines = [f"{number} {label}\n" for number, label in enumerate(spec.class_names)]
    (folder / LABELMAP_NAME).write_text("".join(lines), encoding="utf-8")
    values = {
        "name": model.name,
        "folder": f"/config/model_cache/{slug(model.name)}",
        "slug": slug(model.name),
        "width": spec.input.width,
        "height": spec.input.height,
        "labels": json.dumps(list(spec.class_names), ensure_ascii=False),
    }
    for detector, kind in (("openvino", "ssd"), ("onnx", "yolonas")):
        name = f"config.{detector}.yml"
        write_template(f"frigate.{detector}.yml", folder / name, {**values, "model_type": kind})
    write_common(folder, Host.FRIGATE, model, {name: (form, f"{name}.onnx") for name, form in _FORMS.items()})
    write_template("frigate.md", folder / "README.md", values)
