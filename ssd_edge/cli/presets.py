"""``ssd-edge models``: the networks that can be trained, what they cost, and what others measured with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say, show_table

if TYPE_CHECKING:
    from ssd_edge.model.presets import Preset

_COLUMNS = ("preset", "boxes", "param/M", "MACs/G", "mAP")


def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Presets to show, also ssd<side>-<timm backbone>; by default all.")
    ] = None,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes; the predictors grow with it.")] = 20,
) -> None:
    """List the networks that can be trained: size, cost, default boxes, published accuracy."""
    from ssd_edge.core.errors import MissingPackageError

    try:
        from ssd_edge.model.zoo import preset_names
    except ImportError as error:
        raise MissingPackageError(
            "the networks need PyTorch", got=str(error), do="Install it: pip install 'ssd-edge[train]'"
        ) from error
    notes: list[str] = []
    rows = [_row(name, classes, notes) for name in names or preset_names()]
    show_table(f"networks for {classes} classes", _COLUMNS, rows)
    for number, note in enumerate(notes, start=1):
        typer.echo(f"[{number}] {note}")
    say("any classifier of timm makes two more: ssdlite320-mobilenetv4_conv_small, ssd300-resnet18, …")


def _row(name: str, classes: int, notes: list[str]) -> tuple[str, ...]:
    """Return the cells of a preset; what its accuracy was measured on goes to ``notes``, once."""
    from ssd_edge.model.zoo import find_preset, make_spec, network_cost

    cost = network_cost(make_spec(name, [f"class {number}" for number in range(1, classes + 1)]))
    return (
        name,
        f"{cost.boxes:,}",
        f"{cost.parameters / 1e6:.2f}",
        f"{cost.macs / 1e9:.2f}",
        _published(find_preset(name), notes),
    )


def _published(preset: Preset, notes: list[str]) -> str:
    found = preset.published
    if found is None:
        return ""
    note = f"{found.data}, {found.source}"
    if note not in notes:
        notes.append(note)
    return f"{found.mean_ap:.1f} [{notes.index(note) + 1}]"
