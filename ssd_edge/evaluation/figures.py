"""Charts and pictures as PNG, drawn by matplotlib without a screen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.errors import MissingPackageError
from ssd_edge.core.files import written_beside
from ssd_edge.evaluation.mean_ap import ClassAp
from ssd_edge.evaluation.report_content import Still
from ssd_edge.evaluation.stills import MISSED, RIGHT, WRONG
from ssd_edge.reporting.captions import Color
from ssd_edge.reporting.chart import Panel, round_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SERIES_COLORS = ("#2563eb", "#f59e0b", "#111827")  # report.html has the same
_INK, _SOFT, _LINE = "#16202c", "#5b6876", "#dfe4ea"
_DPI = 130
_FEW_POINTS = 40
_LONGEST_NAME = 26
_TILE = 3.2  # inches of a picture's width


def save_panels(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Draw the panels in rows of two.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InputError: the folder cannot be written.
    """
    rows = math.ceil(len(panels) / 2)
    with _figure(path, 11.0, 3.0 * rows + 0.5) as figure:
        _title(figure, title)
        charts = figure.subplots(rows, 2, squeeze=False).flat
        for axes, panel in zip(charts, panels, strict=False):
            _draw_panel(axes, panel)
        _clear(charts)


def save_precision_recall(path: Path, title: str, classes: Sequence[ClassAp]) -> None:
    """Draw precision over recall, a chart for each class, with its AP.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InputError: the folder cannot be written.
    """
    columns = min(len(classes), max(3, min(5, math.ceil(math.sqrt(len(classes))))))
    rows = math.ceil(len(classes) / columns)
    with _figure(path, max(4.4, 2.3 * columns + 0.3), 2.6 * rows + 0.8) as figure:
        _title(figure, title)
        figure.supxlabel("recall", color=_SOFT, fontsize=9)
        figure.supylabel("precision", color=_SOFT, fontsize=9)
        charts = figure.subplots(rows, columns, squeeze=False).flat
        for entry in classes:
            _draw_class(next(charts), entry)
        _clear(charts)


def save_stills(path: Path, rows: Sequence[tuple[str, Sequence[Still]]]) -> None:
    """Draw rows of pictures, each row with its heading, and the key of their colours.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InputError: the folder cannot be written.
    """
    columns = max(len(stills) for _, stills in rows)
    heights = [_TILE * min(1.5, max(_aspect(still) for still in stills)) + 0.9 for _, stills in rows]
    with _figure(path, _TILE * max(columns, 2), sum(heights) + 0.4) as figure:
        parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, (heading, stills) in zip(parts, rows, strict=True):
            _title(part, heading)
            charts = part.subplots(1, columns, squeeze=False)[0]
            for axes in charts:
                axes.axis("off")
                axes.set_anchor("N")
            for axes, still in zip(charts, stills, strict=False):
                axes.imshow(still.image[..., ::-1])
                axes.set_title(f"{shortened(still.name)}\n{still.verdict}", color=_SOFT, fontsize=8)
        _key(figure)


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return the name with its middle left out where it is too long to be drawn, and no line breaks or formulas."""
    plain = " ".join(name.split())
    if len(plain) > longest:
        plain = f"{plain[: longest // 2]}…{plain[-(longest - longest // 2 - 1) :]}"
    return plain.replace("$", r"\$")


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of that many inches, which is written when the block ends.

    It is no pyplot figure, so nothing else in the process sees it, and no screen is needed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} needs matplotlib", got=str(error), do="Install it: pip install matplotlib"
        ) from error
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 0.98), h_pad=0.08, hspace=0.04)
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    yield figure
    with written_beside(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
        figure.savefig(partial)


def _title(figure: Figure | SubFigure, text: str) -> None:
    figure.suptitle(
        shortened(text, 9 * round(figure.bbox.width / _DPI)),
        x=0.02,
        ha="left",
        color=_INK,
        fontweight="bold",
        fontsize=12,
    )


def _clear(charts: Iterator[Axes]) -> None:
    """Leave the charts that are left over empty."""
    for axes in charts:
        axes.axis("off")


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for series, color in zip(panel.series, SERIES_COLORS, strict=False):
        marker = "o" if len(series.x) <= _FEW_POINTS else None
        axes.plot(series.x, series.y, color=color, label=series.label, linewidth=1.6, marker=marker, markersize=3.5)
    low, high = panel.x_range
    margin = 0.02 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(0, panel.y_top * 1.05)
    axes.set_xticks(ticks := round_ticks(low, high, most=12, whole=True), [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks := round_ticks(0, panel.y_top, most=7), [f"{tick:g}" for tick in ticks])
    axes.set_title(panel.caption, loc="left", fontsize=10, color=_INK)
    axes.set_xlabel(panel.x_label, color=_SOFT, fontsize=9)
    _quiet(axes)
    if len(panel.series) > 1:
        legend = axes.legend(frameon=False, fontsize=9, labelcolor=_SOFT, ncols=len(panel.series), loc="lower right")
        legend.set_bbox_to_anchor((1.0, 0.97), transform=axes.transAxes)  # on the line of the title
    if panel.mark is not None:
        axes.plot(
            *panel.mark, marker="o", markersize=7, markerfacecolor="white", markeredgecolor=_INK, linestyle="none"
        )


def _draw_class(axes: Axes, entry: ClassAp) -> None:
    axes.plot(entry.recall, entry.precision, color=SERIES_COLORS[0], linewidth=1.6)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), box_aspect=1)
    axes.set_xticklabels(("0", "0.5", "1"))
    axes.set_yticklabels(("0", "0.5", "1"))
    axes.set_title(f"{shortened(entry.name)}\nAP {entry.ap_text}, {entry.objects} objects", fontsize=9, color=_INK)
    if not len(entry.recall):
        axes.text(0.5, 0.5, "no detection", ha="center", va="center", color=_SOFT, fontsize=9)
    _quiet(axes)


def _quiet(axes: Axes) -> None:
    """Thin grey lines instead of a black frame."""
    axes.grid(visible=True, color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_SOFT, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _aspect(still: Still) -> float:
    height, width = still.image.shape[:2]
    return float(height / width)


def _key(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    kinds = {"found": RIGHT, "wrong": WRONG, "missed": MISSED}
    lines = [Line2D([], [], color=_rgb(color), linewidth=2.5) for color in kinds.values()]
    lines[-1].set_linestyle((0, (2, 1)))  # as the boxes themselves
    figure.legend(lines, list(kinds), loc="outside lower left", ncols=3, frameon=False, labelcolor=_SOFT, fontsize=9)


def _rgb(bgr: Color) -> tuple[float, float, float]:
    blue, green, red = bgr
    return red / 255, green / 255, blue / 255
