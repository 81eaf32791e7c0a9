"""A drawing of lines, dots, texts and images, laid out once and rendered as SVG or as PNG.

Lengths are in units of a 72nd of an inch, from the top left corner. A *role* says what a shape is; the page's style and
:data:`COLORS` say how that looks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssd_edge.core.errors import MissingPackageError
from ssd_edge.core.files import written_beside
from ssd_edge.core.frame import UInt8Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

SERIES_COLORS = ("#2563eb", "#f59e0b", "#111827", "#db2777", "#059669", "#7c3aed", "#0891b2", "#b91c1c")
COLORS = {"ink": "#16202c", "soft": "#5b6876", "grid": "#dfe4ea"}
"""Of the roles, as page.html has them in its light style; ``series-0``, ``series-1`` … are ``SERIES_COLORS``."""

_DPI = 130
_UNITS_AN_INCH = 72  # so that sizes of fonts are points


@dataclass(frozen=True)
class Line:
    """Straight lines through these points; ``dash`` is the length of dashes and gaps, 0 for none."""

    points: tuple[Point, ...]
    role: str
    width: float = 1.0
    dash: float = 0.0


@dataclass(frozen=True)
class Dot:
    """A filled circle; a ring where the role is ``mark``."""

    at: Point
    radius: float
    role: str


@dataclass(frozen=True)
class Label:
    """A line of text, its baseline at ``at``."""

    at: Point
    text: str
    anchor: Anchor = "start"
    role: str = "soft"
    size: float = 10.0
    bold: bool = False


@dataclass(frozen=True, eq=False)
class Raster:
    """An (H, W, 3) BGR image, stretched over ``size`` (width, height); left out of SVG."""

    at: Point
    size: tuple[float, float]
    image: UInt8Array


Shape = Line | Dot | Label | Raster


@dataclass(frozen=True, eq=False)
class Drawing:
    """Shapes in the order in which they are drawn; ``title`` says what they show to a reader who cannot see them."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str = ""

    def moved(self, right: float, down: float) -> list[Shape]:
        """Return the shapes at another place."""
        return [_moved(shape, right, down) for shape in self.shapes]


def svg(drawing: Drawing) -> str:
    """Return inline SVG without script, whose colors are those of the page: a shape's role is its class."""
    shapes = "".join(_svg(shape) for shape in drawing.shapes)
    return (
        f'<svg class="chart" viewBox="0 0 {drawing.width:g} {drawing.height:g}" role="img" '
        f'aria-label="{escape(drawing.title)}">{shapes}</svg>'
    )


def save_png(path: Path, drawing: Drawing) -> None:
    """Write the drawing as PNG on white, whole or not at all; no screen is needed.

    Raises:
        MissingPackageError: matplotlib, whose fonts and lines are used, is not installed.
        InputError: the folder cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} needs matplotlib", got=str(error), do="Install it: pip install matplotlib"
        ) from error
    size = (drawing.width / _UNITS_AN_INCH, drawing.height / _UNITS_AN_INCH)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")  # not pyplot's: nothing else in the process sees it
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0, drawing.width), ylim=(drawing.height, 0), autoscale_on=False)
    axes.axis("off")
    for order, shape in enumerate(drawing.shapes):
        _paint(axes, shape, order)
    with written_beside(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
        figure.savefig(partial)


def shortened(text: str, width: float, size: float = 10.0) -> str:
    """Return the text in one line, with its middle left out where it is wider than ``width`` units."""
    plain, longest = " ".join(text.split()), max(5, int(width / (0.58 * size)))
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest // 2]}…{plain[-(longest - longest // 2 - 1) :]}"


def text_width(text: str, size: float = 10.0) -> float:
    """Return about how wide a text is."""
    return 0.62 * size * len(text)


def _moved(shape: Shape, right: float, down: float) -> Shape:
    if isinstance(shape, Line):
        return replace(shape, points=tuple((x + right, y + down) for x, y in shape.points))
    return replace(shape, at=(shape.at[0] + right, shape.at[1] + down))


def _svg(shape: Shape) -> str:
    if isinstance(shape, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        return f'<polyline class="{shape.role}" style="stroke-width:{shape.width:g}" points="{points}"/>'
    x, y = shape.at
    if isinstance(shape, Dot):
        return f'<circle class="{shape.role}" cx="{x:.1f}" cy="{y:.1f}" r="{shape.radius:g}"/>'
    if isinstance(shape, Label):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
    return ""


def _paint(axes: Axes, shape: Shape, order: int) -> None:
    if isinstance(shape, Line):
        xs, ys = zip(*shape.points, strict=True) if shape.points else ((), ())
        dashes = (0, (shape.dash, shape.dash)) if shape.dash else "-"
        color, joint = _color(shape.role), "round"
        axes.plot(xs, ys, color=color, linewidth=shape.width, linestyle=dashes, solid_joinstyle=joint, zorder=order)
    elif isinstance(shape, Dot):
        ring = shape.role == "mark"
        colors = ("white", COLORS["ink"]) if ring else (_color(shape.role), "none")
        inside, edge = colors
        axes.plot(*shape.at, "o", ms=2 * shape.radius, mfc=inside, mec=edge, zorder=order)
    elif isinstance(shape, Label):
        side = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        weight = "bold" if shape.bold else "normal"
        axes.text(
            *shape.at, shape.text, color=_color(shape.role), size=shape.size, weight=weight, ha=side, parse_math=False
        )
    else:
        (x, y), (width, height) = shape.at, shape.size
        extent = (x, x + width, y + height, y)
        axes.imshow(shape.image[..., ::-1], extent=extent, aspect="auto", interpolation="antialiased", zorder=order)


def _color(role: str) -> str:
    """Return a role's color; a role may be a color itself, ``#rrggbb``."""
    if role.startswith("series-"):
        return SERIES_COLORS[int(role.removeprefix("series-")) % len(SERIES_COLORS)]
    return COLORS.get(role, role)


def below_one_another(title: str, parts: Sequence[Drawing], *, gap: float = 10.0) -> Drawing:
    """Return the parts from top to bottom under a bold title."""
    width = max(part.width for part in parts)
    shapes: list[Shape] = [Label((gap, 20), shortened(title, width - 2 * gap, 13), role="ink", size=13, bold=True)]
    top = 26.0
    for part in parts:
        shapes += part.moved(0, top)
        top += part.height
    return Drawing(width, top + gap, tuple(shapes), title)
