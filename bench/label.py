"""Labelling against decode and engine alone in the same layout of threads, and its memory from beginning to end.

    python -m bench.label [MODEL] [--images N] [--rounds R] [--threads N] [--folder DIR]

Drawn images in 640 x 480; without MODEL, an engine of the demo's network with random weights. Both take turns in
processes of their own; the first round is not counted. Ends with 1 where labelling reaches less than 0.95 of decode and
engine, or where its memory grows by more than 5 % and 8 MiB from the second fifth of the images to the last.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench._drawn_photos import write_photos
from bench._label_jobs import engine_for
from bench._options import run

SIZE = (640, 480)
LEAST, MOST_GROWTH, SMALL_MIB = 0.95, 1.05, 8.0


def resident_mib(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in status else 0.0


def label(model: Path, photos: Path, output: Path, threads: int) -> tuple[float, float, list[float]]:
    """Images a second of the labelling and of the whole process, and MiB on the way, from the plan to the last part."""
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "ssd_edge", "label", photos, "--model", model, "--output", output]
    command += ["--threads", str(threads), "--score-threshold", "0.3", "--json", output.with_suffix(".json")]
    began, memory = time.monotonic(), []
    with subprocess.Popen(map(str, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.1)
            is_done = (output / "summary.json").exists()
            if (output / "parts").is_dir() and not is_done and (now := resident_mib(process.pid)):
                memory.append(now)
    if process.returncode:
        raise RuntimeError(f"ended with {process.returncode}")
    summary = json.loads(output.with_suffix(".json").read_text())
    whole = summary["images"] / (time.monotonic() - began)
    return summary["run"]["images_per_second"], whole, memory


def baseline(model: Path, photos: Path, threads: int) -> float:
    command = [sys.executable, "-m", "bench._decode_and_engine", model, photos, "--threads", threads]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def main(
    model: Path | None = None, *, images: int = 2000, rounds: int = 3, threads: int = 2, folder: Path | None = None
) -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        path = engine_for(model, place)
        photos = (folder or place) / f"photos-{images}"
        write_photos(photos, images, SIZE)
        ratios, wholes, growths = [], [], []
        for number in range(rounds + 1):
            alone = baseline(path, photos, threads)
            labelled, whole, memory = label(path, photos, place / "out", threads)
            fifth = max(1, len(memory) // 5)
            growth = (statistics.median(memory[-fifth:]), statistics.median(memory[fifth : 2 * fifth]))
            print(
                f"{'warm-up' if number == 0 else f'round {number}'}: decode and engine {alone:7.1f} images/s, label "
                f"{labelled:7.1f} ({labelled / alone:.3f}), with start, listing and summary {whole:7.1f}, "
                f"memory {growth[1]:.1f} to {growth[0]:.1f} MiB",
                flush=True,
            )
            if number:
                ratios.append(labelled / alone)
                wholes.append(whole)
                growths.append(growth)
    late, early = max(growths, key=lambda pair: pair[0] - pair[1])
    is_flat = late <= max(early * MOST_GROWTH, early + SMALL_MIB)
    ratio, rate = statistics.median(ratios), statistics.median(wholes)
    print(
        f"median ratio {ratio:.3f}, memory {early:.1f} to {late:.1f} MiB; 10 million images: "
        f"{1e7 / rate / 3600:.1f} h on {threads} cores, {1e7 / rate / 3600 * threads:.0f} core hours"
    )
    return 0 if ratio >= LEAST and is_flat else 1


if __name__ == "__main__":
    run(main)
