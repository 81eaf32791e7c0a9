"""Labelling against decode and engine alone in the same layout of threads, and its memory from beginning to end.

    python -m bench.label [MODEL] [--images N] [--rounds R] [--threads N] [--folder DIR]

Drawn images in 640 x 480; without MODEL, an engine of the demo's network with random weights. Both run at the same
time in processes of their own and take turns of a second, in which the other is stopped; only the turns count, from the
first image to the last part. The first round is not counted. Ends with 1 where labelling reaches less than 0.95 of
decode and engine, or where its memory grows by more than 5 % and 8 MiB from the second fifth of the images to the last.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench._drawn_photos import write_photos
from bench._label_jobs import engine_for
from bench._options import run
from bench._turns import Turns, take_turns

SIZE = (640, 480)
LEAST, MOST_GROWTH, SMALL_MIB = 0.95, 1.05, 8.0


@dataclass(frozen=True)
class Round:
    """Both once: images a second, milliseconds of a core an image, and MiB of the labelling on its way."""

    alone: float
    labelled: float
    whole: float
    alone_core_ms: float
    whole_core_ms: float
    early_mib: float
    late_mib: float

    @property
    def ratio(self) -> float:
        return self.labelled / self.alone

    def __str__(self) -> str:
        return (
            f"decode and engine {self.alone:7.1f} images/s, {self.alone_core_ms:.2f} ms of a core each; label "
            f"{self.labelled:7.1f} ({self.ratio:.3f}); with start, listing and summary {self.whole:7.1f}, "
            f"{self.whole_core_ms:.2f} ms; memory {self.early_mib:.1f} to {self.late_mib:.1f} MiB"
        )


def resident_mib(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in status else 0.0


def times_of(output: Path) -> tuple[float, float]:
    """When a job was planned and when its last part got its name, in seconds since 1970."""
    parts = [part.stat().st_ctime for part in output.glob("parts/part-*.parquet")]
    return (output / "job.json").stat().st_ctime, max(parts)


def one_round(model: Path, photos: Path, output: Path, threads: int) -> Round:
    shutil.rmtree(output, ignore_errors=True)
    bare = [sys.executable, "-m", "bench._decode_and_engine", model, photos, "--threads", threads]
    label = [sys.executable, "-m", "ssd_edge", "label", photos, "--model", model, "--output", output]
    label += ["--threads", threads, "--score-threshold", "0.3"]
    memory: list[float] = []

    def look(number: int, process: int) -> None:
        is_at_work = number == 1 and (output / "parts").is_dir() and not (output / "summary.json").exists()
        if is_at_work and (now := resident_mib(process)):
            memory.append(now)

    alone, labelling = take_turns([bare, label], look)
    return _round(alone, labelling, output, memory)


def _round(alone: Turns, labelling: Turns, output: Path, memory: list[float]) -> Round:
    began, ended, core_s = map(float, alone.output.split())
    images = json.loads((output / "summary.json").read_text())["images"]
    fifth = max(1, len(memory) // 5)
    return Round(
        alone=images / alone.ran(began, ended),
        labelled=images / labelling.ran(*times_of(output)),
        whole=images / labelling.ran(),
        alone_core_ms=core_s * 1000,
        whole_core_ms=labelling.processor_s / images * 1000,
        early_mib=statistics.median(memory[fifth : 2 * fifth] or memory),
        late_mib=statistics.median(memory[-fifth:]),
    )


def main(
    model: Path | None = None, *, images: int = 2000, rounds: int = 3, threads: int = 2, folder: Path | None = None
) -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        path = engine_for(model, place)
        photos = (folder or place) / f"photos-{images}"
        write_photos(photos, images, SIZE)
        found: list[Round] = []
        for number in range(rounds + 1):
            found.append(one_round(path, photos, place / "out", threads))
            print(f"{'warm-up' if number == 0 else f'round {number}'}: {found[-1]}", flush=True)
    return verdict(found[1:], threads)


def verdict(rounds: list[Round], threads: int) -> int:
    """Print the medians, and return the exit code."""
    worst = max(rounds, key=lambda one: one.late_mib - one.early_mib)
    is_flat = worst.late_mib <= max(worst.early_mib * MOST_GROWTH, worst.early_mib + SMALL_MIB)
    ratio, rate, core_ms = (
        statistics.median(getattr(one, name) for one in rounds) for name in ("ratio", "whole", "whole_core_ms")
    )
    print(
        f"median ratio {ratio:.3f}, memory {worst.early_mib:.1f} to {worst.late_mib:.1f} MiB; 10 million images: "
        f"{1e7 / rate / 3600:.1f} h on {threads} cores, {core_ms * 1e4 / 3600:.1f} core hours"
    )
    return 0 if ratio >= LEAST and is_flat else 1


if __name__ == "__main__":
    run(main)
