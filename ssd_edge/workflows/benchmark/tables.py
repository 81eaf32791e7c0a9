"""The tables of a benchmark, as text, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssd_edge.core.intervals import Interval
from ssd_edge.workflows.benchmark.result import BenchResult, Contestant, Throughput
from ssd_edge.workflows.benchmark.stages import STAGES

_NONE = "–"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: what it shows, with its unit.
        text: how it was measured, in a sentence.
        columns: the headings.
        rows: their cells, the contestant first.
        notes: of each row, e.g. what a peer is; empty where there is none.
    """

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def bench_tables(result: BenchResult) -> list[Table]:
    """Return the tables that have a row."""
    makers = (_latency, _compared, _throughput, _stages, _start, _batches, _streams, _roofline, _trtexec, _power)
    return [table for maker in makers if (table := maker(result)).rows]


def label(result: BenchResult, entry: Contestant) -> str:
    """Return a contestant's name, without its network's where all are of one and nothing else would be left."""
    short = entry.name.removeprefix(entry.group).strip()
    groups = {other.group for other in result.contestants}
    return short if len(groups) == 1 and entry.name.startswith(f"{entry.group} ") else entry.name


def machine_lines(result: BenchResult) -> list[str]:
    """Return what the run was made on, a sentence a line, warnings first."""
    machine = result.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return [
        *result.warnings,
        f"{machine.processor}: {machine.cores} cores, {machine.memory_gib:g} GiB; {machine.features}"
        + (f"; {machine.gpu}" if machine.gpu else ""),
        f"{machine.system}; {packages}" + (f"; governor {machine.governor}" if machine.governor else ""),
        f"{result.images}; {result.threads} threads; {result.rounds} blocks each in {result.launches} launches, "
        f"in turns; {result.at}",
        *([f"{result.busy} busy processes beside the rounds, as was asked for"] if result.busy else []),
        *([] if result.load.is_disturbed else [str(result.load)]),
    ]


def _latency(result: BenchResult) -> Table:
    text = (
        "Image in memory to boxes, one at a time. Median of the blocks' medians with its interval of order statistics "
        f"(wanted {result.confidence:.0%}); p90 and p99 over all calls."
    )
    rows = []
    for entry in result.contestants:
        median = f"{entry.latency.median:.2f} ({_ends(entry.latency, 2)})"
        rows.append((label(result, entry), median, f"{entry.times.p90:.2f}", f"{entry.times.p99:.2f}"))
    columns = ("contestant", "median ms", "p90", "p99")
    notes = tuple(entry.note for entry in result.contestants)
    return Table(_titled("Latency", result), text, columns, tuple(rows), notes)


def _titled(title: str, result: BenchResult) -> str:
    groups = {entry.group for entry in result.contestants}
    return f"{title}: {groups.pop()}" if len(groups) == 1 else title


def _compared(result: BenchResult) -> Table:
    if len(result.contestants) < 2:
        return Table("Compared", "", (), ())
    rows = []
    for entry in result.contestants:
        seen = _NONE if entry.agreement is None else f"{100 * entry.agreement:.0f} %"
        ratio = _NONE if entry.ratio is None else f"{entry.ratio.median:.3f} ({_ends(entry.ratio, 3)})"
        rows.append((label(result, entry), ratio, entry.verdict, f"{entry.detections:.0f}", seen))
    text = (
        "How many times as long as the first of the same network: the median over pairs of blocks, with its interval. "
        "'same': the interval holds 1. Whether all do the same work: detections of an image, and the share of the "
        "reference's 50 best that are there too (same class, boxes that overlap by 0.8, scores within 0.05)."
    )
    return Table("Compared", text, ("contestant", "ratio", "verdict", "detections", "in common"), tuple(rows))


def _ends(interval: Interval, digits: int) -> str:
    return f"{interval.low:.{digits}f}–{interval.high:.{digits}f}"


def _throughput(result: BenchResult) -> Table:
    rows = []
    for entry in result.contestants:
        if entry.throughput:
            best, *others = entry.throughput
            rest = ", ".join(f"{point.layout}: {point.fps:.1f}" for point in others) or _NONE
            rows.append((label(result, entry), f"{best.fps:.1f}", best.layout, f"{best.p99_ms:.1f}", rest))
    text = "Images a second without a pause, with the better layout of threads: all on one image, or an image on each."
    return Table("Throughput", text, ("contestant", "images/s", "layout", "p99 ms", "other layouts"), tuple(rows))


def _stages(result: BenchResult) -> Table:
    rows = []
    for entry in result.contestants:
        if entry.stages_ms:
            whole = sum(entry.stages_ms.values())
            rows.append((label(result, entry), *(_stage(entry, name, whole) for name in STAGES)))
    text = (
        "From a file's bytes to detections: milliseconds and share. The NMS is what the whole graph takes more than "
        "the same graph without it; without a figure it is part of inference."
    )
    return Table("Stages", text, ("contestant", *STAGES), tuple(rows))


def _stage(entry: Contestant, name: str, whole: float) -> str:
    ms = entry.stages_ms.get(name)
    return (
        _NONE
        if ms is None
        else f"{ms:.2f} {100 * ms / whole:.1f}%"
        if name == "nms"
        else f"{ms:.2f} {100 * ms / whole:.0f}%"
    )


def _start(result: BenchResult) -> Table:
    rows = []
    for entry in result.contestants:
        starts = sorted(entry.cold_start_s)
        run = _NONE if entry.run_start_s is None else f"{entry.run_start_s:.2f}"
        memory = _NONE if entry.run_memory_mib is None else f"{entry.run_memory_mib:.0f}"
        middle = f"{starts[len(starts) // 2]:.2f}" if starts else _NONE
        rows.append((label(result, entry), middle, f"{entry.memory_mib:.0f}", run, memory))
    text = (
        "Seconds from starting a process to its first detections (median of the launches), and the most memory that it "
        "had; then the same of ssd-edge run up to its first line of JSON, started as often."
    )
    return Table("Start and memory", text, ("contestant", "start s", "MiB", "run s", "run MiB"), tuple(rows))


def _batches(result: BenchResult) -> Table:
    rows = [(label(result, entry), *_fps(entry.batches)) for entry in result.contestants if entry.batches]
    sizes = _columns(result, "batches")
    return Table("Batches", "Images a second by batch size, best layout.", ("contestant", *sizes), _even(rows, sizes))


def _streams(result: BenchResult) -> Table:
    rows = [
        (label(result, entry), *(f"{point.fps:.1f} ({point.p99_ms:.0f} ms)" for point in entry.streams))
        for entry in result.contestants
        if entry.streams
    ]
    sizes = _columns(result, "streams")
    text = "Images a second of all streams together, and p99 of one, by the number of streams that ask at once."
    return Table("Streams", text, ("contestant", *sizes), _even(rows, sizes))


def _fps(points: Sequence[Throughput]) -> Iterator[str]:
    for point in points:
        yield f"{point.fps:.1f}"


def _columns(result: BenchResult, kind: str) -> tuple[str, ...]:
    """Return the sizes of the contestant that has most of them."""
    longest: Sequence[Throughput] = max((getattr(entry, kind) for entry in result.contestants), key=len, default=())
    return tuple(str(point.batch if kind == "batches" else point.callers) for point in longest)


def _even(rows: Sequence[tuple[str, ...]], sizes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((*row, *[_NONE] * (len(sizes) + 1 - len(row))) for row in rows)


def _roofline(result: BenchResult) -> Table:
    if not result.peaks:
        return Table("Share of the processor's peak", "", (), ())
    rows = [
        (
            label(result, entry),
            f"{entry.macs / 1e9:.3f}",
            _NONE if entry.peak_share is None else f"{100 * entry.peak_share:.1f} %",
        )
        for entry in result.contestants
        if entry.macs is not None
    ]
    peaks = ", ".join(f"{kind} {peak.gops:,.0f} ({peak.library})" for kind, peak in result.peaks.items())
    text = (
        "Operations of convolutions and matrix products in a second of the median latency, against the best large "
        "matrix product of the same type that any library here reached in this run, in giga-operations a second: "
        f"{peaks}."
    )
    return Table("Share of the processor's peak", text, ("contestant", "GMAC an image", "share"), tuple(rows))


def _trtexec(result: BenchResult) -> Table:
    modes = [(f"{label(result, entry)}, {mode.mode}", mode) for entry in result.contestants for mode in entry.gpu]
    names = list(dict.fromkeys(name for _, mode in modes for name in mode.median_ms))
    rows = [(f"{name}, ms", *(f"{mode.median_ms[name]:.3f}" for _, mode in modes)) for name in names]
    if modes:
        rows.insert(0, ("Throughput, qps", *(f"{mode.qps:.1f}" for _, mode in modes)))
    text = "TensorRT in trtexec's terms, one image after the other; medians."
    return Table("TensorRT", text, ("", *(name for name, _ in modes)), tuple(rows))


def _power(result: BenchResult) -> Table:
    names = list(dict.fromkeys(name for entry in result.contestants for name in entry.power))
    rows = [
        (
            label(result, entry),
            *(
                f"{read.median:g} ({read.least:g}–{read.most:g})" if (read := entry.power.get(name)) else _NONE
                for name in names
            ),
        )
        for entry in result.contestants
        if entry.power
    ]
    text = "Median, least and largest value while throughput was measured."
    return Table("Clocks and power", text, ("contestant", *names), tuple(rows))
