"""``ssd-edge models``: list the networks that can be trained, with size, cost and published accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say, show_table
from ssd_edge.workflows.presets import CLASSES

if TYPE_CHECKING:
    from ssd_edge.workflows.presets import PresetInfo

_COLUMNS = ("preset", "anchors", "Mparam", "GMACs", "mAP")


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Presets to show, or names such as ssd<size>-<timm backbone> (default: all presets)."),
    ] = None,
    classes: Annotated[
        int, typer.Option(min=1, help="Number of classes; the prediction layers grow with it.")
    ] = CLASSES,
) -> None:
    """List the networks that can be trained: anchors, parameters, cost, published accuracy."""
    from ssd_edge.workflows.presets import list_presets

    notes: list[str] = []
    rows = [_row(preset, notes) for preset in list_presets(names, classes=classes).presets]
    show_table(f"networks for {classes} classes", _COLUMNS, rows)
    for number, note in enumerate(notes, start=1):
        typer.echo(f"[{number}] {note}")
    say(
        "any timm classifier can be the backbone of an ssd or an ssdlite: ssdlite320-mobilenetv4_conv_small, "
        "ssd300-resnet18, …; for small objects ssdlite320-efficientnet_lite0-stride8, whose first map is finer"
    )


def _row(preset: PresetInfo, notes: list[str]) -> tuple[str, ...]:
    """Return the cells of a preset; add the source of its accuracy to ``notes``, once."""
    found, published = preset.published, ""
    if found is not None:
        note = f"{found.data}, {found.source}"
        if note not in notes:
            notes.append(note)
        published = f"{found.mean_ap:.1f} [{notes.index(note) + 1}]"
    return preset.name, f"{preset.boxes:,}", f"{preset.parameters / 1e6:.2f}", f"{preset.macs / 1e9:.2f}", published
